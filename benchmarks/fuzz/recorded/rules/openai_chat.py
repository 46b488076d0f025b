"""OpenAI's chat completions."""

from __future__ import annotations

from .. import changes
from ..rule_types import LIST_ITEM, MESSAGE, Derived, DialectRules, Rule


def _openai(message: str) -> tuple[Rule, ...]:
    """The rules of OpenAI's format, where a choice's message is called `message`, or `delta` in streams."""
    body = rf"choices{LIST_ITEM}\.{message}"
    call = rf"{body}\.tool_calls{LIST_ITEM}"
    function = rf"({call}\.function|{body}\.function_call)"
    return (
        Rule(r"choices", "part", changes.as_objects),
        Rule(rf"choices{LIST_ITEM}", "part", changes.as_object),
        Rule(body, "part", changes.as_object),
        Rule(rf"{body}\.content", "part", changes.as_content),
        Rule(rf"{body}\.content\[text\]\.text", "part", changes.as_text),
        Rule(rf"{body}\.content{LIST_ITEM}", "part", changes.as_part),
        Rule(rf"{body}\.content{LIST_ITEM}\.type", "identity", changes.as_word, "names the part"),
        Rule(rf"{body}\.tool_calls", "part", changes.as_objects),
        Rule(call, "part", changes.as_object),
        Rule(function, "part", changes.as_object),
        Rule(rf"{function}\.(name|arguments)", "part", changes.as_text),
        Rule(rf"{call}\.custom", "part", changes.as_object),
        Rule(rf"{call}\.custom\.(name|input)", "part", changes.as_text),
        Rule(rf"{body}\.tool_calls\[custom\]\.type", "identity", changes.as_word, "says which field has the call"),
        Rule(rf"choices{LIST_ITEM}\.finish_reason", "part", changes.as_word),
        Rule(r"usage", "part", changes.as_optional_object),
        Rule(r"usage\.(prompt|completion|total)_tokens", "part", changes.as_count),
        Rule(rf"(choices{LIST_ITEM}\.)?error", "error"),
    )


_OPENAI = _openai("message")
_OPENAI_STREAM = (
    Rule(rf"choices{LIST_ITEM}\.index", "part", changes.as_choice_index, "distinguishes the choices of a stream"),
    Rule(
        rf"choices{LIST_ITEM}\.delta\.tool_calls{LIST_ITEM}\.index",
        "identity",
        changes.as_count,
        "distinguishes the calls of a stream",
    ),
    *_openai("delta"),
)

RULES = DialectRules(
    apis=("chat.completions", "chat"),
    changes=7_000,
    rules=_OPENAI,
    stream_rules=_OPENAI_STREAM,
    opaque=r"choices\[[^\]]*\]\.message\.content",
    derived=(
        Derived(r"(.*\.)?usage\..*", ("usage",), "counts and costs are parts of one record, wherever it stands"),
        Derived(
            r"choices\[[^\]]*\]\.logprobs\..*",
            ("choices.logprobs",),
            "the parallel lists of the older form become a list of tokens",
        ),
        Derived(r"id", ("created",), "the time is that of the first chunk with an id"),
        Derived(
            r"choices\[[^\]]*\]\.delta\.reasoning_details.*",
            (f"{MESSAGE}.reasoning_details",),
            "pieces of a block are merged by index and type",
        ),
        Derived(r"x_groq(\..*)?", ("usage",), "Groq's usage stands in it where the standard one was not requested"),
        Derived(
            r"(.*\.)?(message|delta)\.reasoning",
            (f"{MESSAGE}.reasoning_content",),
            "another name of `reasoning_content`",
        ),
        Derived(
            r"(.*\.)?content\[thinking\].*",
            (f"{MESSAGE}.reasoning_content", f"{MESSAGE}.content"),
            "Mistral's thinking parts become `reasoning_content`; parts that are not text stay parts",
        ),
    ),
    same_names=True,
)
