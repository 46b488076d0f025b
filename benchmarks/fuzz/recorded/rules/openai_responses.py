"""OpenAI's Responses API; the last event of a stream has the whole response."""

from __future__ import annotations

from .. import changes
from ..rule_types import MESSAGE, NATIVE, Derived, DialectRules, Rule

_ITEM = r"(output\[[^\]]*\]|response\.output_item\.\w+/item<[^>]*>)"
_END = r"(response\.(completed|incomplete)/response\.)?"

RULES = DialectRules(
    apis=("responses",),
    changes=2_500,
    rules=(
        Rule(r"(response\.(failed|completed|incomplete)/response\.)?error", "error"),
        Rule(r"error(/.*)?", "error"),
        Rule(r"(response\.(failed|completed|incomplete)/response\.)?status", "part", None, "how the response ended"),
        Rule(rf"{_END}output", "part", changes.as_objects),
        Rule(rf"{_END}output\[[^\]]*\]|response\.output_item\.\w+/item", "part", changes.as_object),
        Rule(rf"{_ITEM}\.type", "identity", None, "names the item; without it, its fields do"),
        Rule(rf"{_ITEM}\.(content|summary)", "part", None, "the texts of an item"),
        Rule(rf"{_ITEM}\.(content|summary)\[[^\]]*\]", "part", None, "a text of an item"),
        Rule(rf"{_ITEM}\.(content|summary)\[[^\]]*\]\.(text|refusal)", "part", changes.as_text),
        Rule(rf"{_ITEM}\.(name|arguments|input)", "part", changes.as_text),
        Rule(rf"{_ITEM}\.phase", "identity", None, "whether the text is the answer"),
        Rule(rf"{_END}incomplete_details(\.reason)?", "part", None, "why a response is incomplete"),
        Rule(r"[\w.]+/type", "identity", None, "names the event"),
        Rule(r"[\w.]+/output_index", "identity", changes.as_count, "names the item that a piece belongs to"),
        Rule(r"[\w.]+/(content_index|summary_index)", "identity", None, "names the part that a piece belongs to"),
        Rule(r"[\w.]+\.delta/delta", "part", changes.as_text),
        Rule(r"response\.\w+/response", "part", None, "the whole response"),
    ),
    opaque=r"(.*[./])?(tools|metadata|text|action|obfuscation)",
    derived=(
        Derived(rf"{_END}usage(\..*)?", ("usage", "service_tier"), "counts of the response"),
        Derived(rf"{_ITEM}\..*", (NATIVE, MESSAGE, "choices.logprobs"), "items are kept, and are the message"),
        Derived(r".*annotation.*", (f"{MESSAGE}.annotations", NATIVE), "annotations have the chat API's form"),
        Derived(r".*logprobs.*", ("choices.logprobs",), "log probabilities of the content"),
        Derived(r".*(created_at|store|tools).*", ("created", NATIVE), "the time, and whether items are stored"),
        Derived(r".*/response(<[^>]*>)?(\..*)?", ("id", "model", "created", "usage", "service_tier"), "the end"),
    ),
)
