"""Calls with the names that callers of older libraries use, for which every column has a expectation.

The names are those of OpenAI's first chat format, of LiteLLM's first `completion` and of ExOpenAI. `params_notation`
explains a call; a column of `params_table` refers to a call by its name.
"""

from __future__ import annotations

from support.params_calls import (
    ADD,
    ADD_PARAMETERS,
    BE_BRIEF,
    FUNCTION_CALL,
    FUNCTION_RESULT,
    NOW,
    SUM,
    THREE_TURNS,
    TOOL_CALLS,
    TOOL_RESULT,
)
from support.params_notation import USER, ParamsCall, call

NON_ASCII_TEXT = "Ünïcödé 🎈\n\n  and space "
NOW_DESCRIBED = {"name": "now", "description": "The time."}


def ignore_event(event: object) -> None:
    """An observer that keeps nothing."""


LEGACY_CALLS: tuple[ParamsCall, ...] = (
    call("messages: role system", messages=[BE_BRIEF, USER]),
    call("messages: role user", messages=[USER]),
    call("messages: role assistant", messages=THREE_TURNS),
    call("messages: role function", messages=[SUM, FUNCTION_CALL, FUNCTION_RESULT]),
    call("messages: role tool", messages=[SUM, TOOL_CALLS, TOOL_RESULT]),
    call("messages: content", messages=[{"role": "user", "content": NON_ASCII_TEXT}]),
    call("messages: name", messages=[{"role": "user", "content": "Hi.", "name": "ann"}]),
    call(
        "messages: function_call",
        messages=[
            SUM,
            {"role": "assistant", "content": "Let me add.", "function_call": {"name": "add", "arguments": ""}},
            FUNCTION_RESULT,
        ],
    ),
    call("functions: name", functions=[NOW]),
    call("functions: description", functions=[NOW_DESCRIBED]),
    call("functions: parameters", functions=[{"name": "add", "parameters": ADD_PARAMETERS}]),
    call("function_call", functions=[ADD], function_call={"name": "add"}),
    call("temperature", temperature=0.5),
    call("top_p", top_p=0.5),
    call("n", n=2),
    call("stream", stream=True),
    call("stop", stop="END"),
    call("max_tokens", max_tokens=9),
    call("presence_penalty", presence_penalty=0.5),
    call("frequency_penalty", frequency_penalty=0.5),
    call("logit_bias", logit_bias={"50256": -100}),
    call("user", user="u-1"),
    call("forceTimeout", forceTimeout=30),
    call("force_timeout", force_timeout=30),
    call("azure=False", azure=False),
    call("logger_fn", logger_fn=ignore_event),
    call("verbose", verbose=True),
    call("organization", organization="org-1"),
)

ORGANIZATION_VARIABLES = ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_ORGANIZATION_KEY")
"""Environment variables that hold OpenAI's organization."""
