"""What callers of older libraries write, name by name, and what becomes of it: the floor below which nothing falls.

The names are those of OpenAI's first chat format, of LiteLLM's first `completion` and of ExOpenAI. For the notation see
`cells`; for the columns `params_table`.
"""

from __future__ import annotations

from support.params_notation import GIVEN, REFUSED, UNSENT, USER, Branches, Row, Unsupported, everywhere
from support.params_table import (
    ADD,
    ADD_NATIVE,
    ADD_TOOL,
    ADDING,
    ASKED,
    BRIEF,
    CALLED,
    LEGACY_CALLED,
    LEGACY_TOLD,
    NAMED_ADD,
    NO_FUNCTIONS,
    NOTHING,
    NOW,
    NOW_TOOL,
    ONE_AT_A_TIME,
    TOLD,
    chat,
    only_openai,
    tool_calls,
    tool_use,
)

TALK = [USER, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Bye."}]


def quiet(event: object) -> None:
    """An observer that keeps nothing."""


def offered(tool: dict[str, object], native: dict[str, object], function: dict[str, object], full: object) -> Row:
    """A function on offer."""
    return Row(
        {"functions": [function]},
        GIVEN,
        {"tools": [tool]},
        {"tools": [native], "tool_choice": {"type": "auto"} | ONE_AT_A_TIME},
        {"tools": [full]},
        REFUSED,
    )


def full(function: dict[str, object]) -> dict[str, object]:
    """A tool with the schema that Cohere requires."""
    return {"type": "function", "function": {"parameters": NOTHING, **function}}


DESCRIBED = {"name": "now", "description": "The time."}

MESSAGES: dict[str, Row] = {
    "messages: role system": chat(
        BRIEF, USER, cells=(GIVEN, GIVEN, {"system": "Be brief."}, GIVEN, {"system_prompt": "Be brief."})
    ),
    "messages: role user": chat(USER, cells=(GIVEN, GIVEN, GIVEN, GIVEN, UNSENT)),
    "messages: role assistant": chat(
        *TALK,
        cells=(
            GIVEN,
            GIVEN,
            GIVEN,
            GIVEN,
            {"prompt": "User: Hi.\n\nAssistant: Hello.\n\nUser: Bye.\n\nAssistant:"},
        ),
    ),
    "messages: role function": chat(
        ASKED,
        LEGACY_CALLED,
        LEGACY_TOLD,
        cells=(
            GIVEN,
            tool_calls("call_1_add", content=None),
            tool_use("function_call_1"),
            tool_calls("function_call_1"),
            Unsupported("messages[1].function_call", {"prompt": "1+1?"}),
        ),
    ),
    "messages: role tool": chat(
        ASKED,
        CALLED,
        TOLD,
        cells=(
            GIVEN,
            GIVEN,
            tool_use("c1"),
            tool_calls("c1"),
            Unsupported("messages[1].tool_calls", {"prompt": "1+1?"}),
        ),
    ),
    "messages: content": chat(
        {"role": "user", "content": "Ünïcödé 🎈\n\n  and space "}, cells=(GIVEN, GIVEN, GIVEN, GIVEN, None)
    ),
    "messages: name": chat(USER | {"name": "ann"}, cells=(GIVEN, GIVEN, *[Unsupported("messages[0].name")] * 3)),
    "messages: function_call": chat(
        ASKED,
        {"role": "assistant", "content": "Let me add.", "function_call": {"name": "add", "arguments": ""}},
        LEGACY_TOLD,
        cells=(
            GIVEN,
            {
                "messages": [
                    ASKED,
                    {
                        "role": "assistant",
                        "content": "Let me add.",
                        "tool_calls": [
                            {"id": "call_1_add", "type": "function", "function": {"name": "add", "arguments": ""}}
                        ],
                    },
                    {"role": "tool", "tool_call_id": "call_1_add", "content": "2"},
                ]
            },
            {
                "messages": [
                    ASKED,
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "text", "text": "Let me add."},
                            {"type": "tool_use", "id": "function_call_1", "name": "add", "input": {}},
                        ],
                    },
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "function_call_1", "content": "2"}],
                    },
                ]
            },
            {
                "messages": [
                    ASKED,
                    {
                        "role": "assistant",
                        "content": "Let me add.",
                        "tool_calls": [
                            {
                                "id": "function_call_1",
                                "type": "function",
                                "function": {"name": "add", "arguments": "{}"},
                            }
                        ],
                    },
                    {"role": "tool", "tool_call_id": "function_call_1", "content": "2"},
                ]
            },
            Unsupported("messages[1].function_call"),
        ),
    ),
}

PARAMETERS: dict[str, Row] = {
    "functions: name": offered(NOW_TOOL, {"name": "now", "input_schema": NOTHING}, NOW, full(NOW)),
    "functions: description": offered(
        {"type": "function", "function": DESCRIBED},
        {"name": "now", "description": "The time.", "input_schema": NOTHING},
        DESCRIBED,
        full(DESCRIBED),
    ),
    "functions: parameters": offered(
        {"type": "function", "function": {"name": "add", "parameters": ADDING}},
        {"name": "add", "input_schema": ADDING},
        {"name": "add", "parameters": ADDING},
        {"type": "function", "function": {"name": "add", "parameters": ADDING}},
    ),
    "function_call": Row(
        {"functions": [ADD], "function_call": {"name": "add"}},
        GIVEN,
        {"tools": [ADD_TOOL], "tool_choice": NAMED_ADD},
        {"tools": [ADD_NATIVE], "tool_choice": {"type": "tool", "name": "add"} | ONE_AT_A_TIME},
        {"tools": [ADD_TOOL], "tool_choice": "REQUIRED"},
        NO_FUNCTIONS,
    ),
    "temperature": everywhere({"temperature": 0.5}, GIVEN),
    "top_p": Row({"top_p": 0.5}, GIVEN, GIVEN, GIVEN, {"p": 0.5}, GIVEN),
    "n": Row({"n": 2}, GIVEN, *[Branches(2)] * 4),
    "stream": everywhere({}, UNSENT, stream=True),
    "stop": Row({"stop": "END"}, GIVEN, GIVEN, *[{"stop_sequences": ["END"]}] * 2, {"stop_sequences": "END"}),
    "max_tokens": everywhere({"max_tokens": 9}, GIVEN),
    "presence_penalty": Row({"presence_penalty": 0.5}, GIVEN, GIVEN, REFUSED, GIVEN, GIVEN),
    "frequency_penalty": Row({"frequency_penalty": 0.5}, GIVEN, GIVEN, REFUSED, GIVEN, GIVEN),
    "logit_bias": only_openai({"logit_bias": {"50256": -100}}),
    "user": Row({"user": "u-1"}, GIVEN, GIVEN, {"metadata": {"user_id": "u-1"}}, REFUSED, REFUSED),
}

OPTIONS: dict[str, Row] = {
    "forceTimeout": everywhere({"forceTimeout": 30}, UNSENT),
    "force_timeout": everywhere({"force_timeout": 30}, UNSENT),
    "azure=False": everywhere({"azure": False}, UNSENT),
    "logger_fn": everywhere({"logger_fn": quiet}, UNSENT),
    "verbose": everywhere({"verbose": True}, UNSENT),
    "organization": Row({"organization": "org-1"}, UNSENT, REFUSED, REFUSED, REFUSED, REFUSED),
}

FLOOR: dict[str, Row] = {**MESSAGES, **PARAMETERS, **OPTIONS}
"""Name → a call that uses it."""

BARE: dict[str, str] = {
    "gpt-3.5-turbo": "openai",
    "gpt-3.5-turbo-16k-0613": "openai",
    "gpt-4": "openai",
    "gpt-4-32k-0314": "openai",
    "chatgpt-4o-latest": "openai",
    "o1-mini": "openai",
    "ft:gpt-3.5-turbo:acme::1": "openai",
    "command-nightly": "cohere",
    "command-light": "cohere",
    "command": "cohere",
    "claude-instant-1": "anthropic",
    "claude-2": "anthropic",
}
"""Model names without a provider."""

KEYS: dict[str, tuple[str, str]] = {
    "openai": ("authorization", "Bearer the-key"),
    "azure": ("api-key", "the-key"),
    "openrouter": ("authorization", "Bearer the-key"),
    "anthropic": ("x-api-key", "the-key"),
    "cohere": ("authorization", "Bearer the-key"),
    "replicate": ("authorization", "Bearer the-key"),
}
"""Provider → the header that carries its key."""

KEY_VARIABLES: list[tuple[str, str]] = [
    ("openai", "OPENAI_API_KEY"),
    ("azure", "AZURE_OPENAI_API_KEY"),
    ("azure", "AZURE_API_KEY"),
    ("openrouter", "OPENROUTER_API_KEY"),
    ("openrouter", "OR_API_KEY"),
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("cohere", "CO_API_KEY"),
    ("cohere", "COHERE_API_KEY"),
    ("replicate", "REPLICATE_API_TOKEN"),
    ("replicate", "REPLICATE_API_KEY"),
]

URL_VARIABLES: list[tuple[str, str]] = [
    ("openai", "OPENAI_BASE_URL"),
    ("openai", "OPENAI_API_BASE"),
    ("openai", "OPENAI_API_URL"),
    ("azure", "AZURE_OPENAI_ENDPOINT"),
    ("azure", "AZURE_API_BASE"),
    ("openrouter", "OPENROUTER_API_BASE"),
    ("anthropic", "ANTHROPIC_BASE_URL"),
    ("anthropic", "ANTHROPIC_API_BASE"),
    ("cohere", "CO_API_URL"),
    ("replicate", "REPLICATE_BASE_URL"),
]

ORGANIZATION_VARIABLES = ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_ORGANIZATION_KEY")
