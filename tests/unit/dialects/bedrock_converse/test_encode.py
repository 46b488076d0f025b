"""Encoding of requests for Bedrock: a chat request → the exact URL and body. The parameter table has the parameters."""

import base64
import itertools
import json
import time
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.codecs.json import dumps
from anycompletion.dialects.base import Target
from anycompletion.dialects.bedrock_converse.bedrock_models import model_family
from anycompletion.dialects.bedrock_converse.dialect import DIALECT
from anycompletion.errors import InvalidRequestError, UnsupportedParameterError
from anycompletion.http import HttpRequest
from anycompletion.options import OnUnsupported
from anycompletion.providers import DIALECTS
from anycompletion.records import CustomMessage
from anycompletion.validation.request_checks import build_request

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "tooluse_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "tooluse_1", "content": "2"}
USED = {"toolUse": {"toolUseId": "tooluse_1", "name": "add", "input": {"a": 1}}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
CACHE = {"type": "ephemeral"}
POINT = {"cachePoint": {"type": "default"}}
PDF = base64.b64encode(b"%PDF-1.4").decode()
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "sig=="}
REASONING = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "sig=="}}}
UNSIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
REDACTED = {"reasoningContent": {"redactedContent": "cmVkYWN0ZWQ="}}


def send(
    messages: Any,
    *,
    model: str = CLAUDE,
    policy: OnUnsupported = "raise",
    stream: bool = False,
    path: str | None = None,
    extra_body: dict[str, Any] | None = None,
    **params: Any,
) -> HttpRequest:
    request = build_request(model, messages, params)
    request.extra_body = extra_body
    target = Target(
        provider="bedrock",
        model=model,
        base_url="https://bedrock-runtime.us-east-1.amazonaws.com",
        on_unsupported=policy,
        stream=stream,
        path=path,
    )
    encoded = DIALECT.encode(request, target, {})
    assert isinstance(encoded, HttpRequest)
    json.dumps(encoded.body)
    return encoded


def body(messages: Any, **options: Any) -> dict[str, Any]:
    sent = send(messages, **options).body
    assert isinstance(sent, dict)
    return sent


def content(*parts: Any, **options: Any) -> list[Any]:
    """The content that is sent for one message of the user with these parts."""
    (turn,) = body([{"role": "user", "content": [*parts]}], **options)["messages"]
    found: list[Any] = turn["content"]
    return found


def refusal(messages: Any, **options: Any) -> str | None:
    """The place that a refusal names."""
    with pytest.raises(InvalidRequestError) as caught:
        send(messages, **options)
    return caught.value.param


def text(value: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **members}


def image(url: str, **members: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **members}}


def file(**members: Any) -> dict[str, Any]:
    return {"type": "file", "file": members}


# --- the URL ----------------------------------------------------------------------------------------------------------

MODELS = [
    CLAUDE,
    "amazon.nova-micro-v1:0",
    "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0",
    "arn:aws:bedrock:us-east-1:012345678901:application-inference-profile/abc123",
    "arn:aws:sagemaker:us-east-1:012345678901:endpoint/my endpoint",
    "already%2Fquoted",
    "modèle",
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_model_is_one_segment_of_the_path_quoted_once(model: str, stream: bool) -> None:
    """An ARN would be cut at its slash, or a signature would be made of another path than the one that is sent."""
    sent = send("Hi", model=model, stream=stream)
    path = sent.url.removeprefix("https://bedrock-runtime.us-east-1.amazonaws.com")
    empty, start, segment, operation = path.split("/")
    assert (empty, start, operation) == ("", "model", "converse-stream" if stream else "converse")
    assert unquote(segment) == model
    assert ":" not in segment
    assert sent.headers.get("Accept") == ("application/vnd.amazon.eventstream" if stream else None)
    assert "model" not in (sent.body or {})


def test_a_path_of_a_row_replaces_the_own_one() -> None:
    """A gateway with paths of its own could not be used."""
    assert send("Hi", path="/chat").url == "https://bedrock-runtime.us-east-1.amazonaws.com/chat"


FAMILIES = {
    "anthropic.claude-v2": ("anthropic", "claude-v2"),
    "us.anthropic.claude-x": ("anthropic", "claude-x"),
    "us-gov.anthropic.claude-x": ("anthropic", "claude-x"),
    "global.amazon.nova-2-lite-v1:0": ("amazon", "nova-2-lite-v1:0"),
    "arn:aws:bedrock:us-east-1::foundation-model/qwen.qwen3-32b-v1:0": ("qwen", "qwen3-32b-v1:0"),
    "arn:aws-us-gov:bedrock:x:1:inference-profile/us-gov.meta.llama3-v1:0": ("meta", "llama3-v1:0"),
    "arn:aws:bedrock:us-east-1:1:application-inference-profile/anthropic.claude": ("", ""),
    "arn:aws:bedrock:us-east-1:1:prompt/PROMPT12:1": ("", ""),
    "arn:aws:sagemaker:us-east-1:1:endpoint/a.b": ("", ""),
    "my-deployment": ("", ""),
    "": ("", ""),
}


@pytest.mark.parametrize("model", FAMILIES)
def test_the_family_of_a_model_is_in_its_id(model: str) -> None:
    """Claude's fields would be sent to a model of another vendor, which refuses them."""
    assert tuple(model_family(model)) == FAMILIES[model]


# --- turns ------------------------------------------------------------------------------------------------------------


def test_neighbours_of_one_role_are_one_message() -> None:
    """Most models refuse two messages of one role, and all results of a turn must stand in one message."""
    other = {**CALL, "id": "tooluse_2"}
    calling = {"role": "assistant", "content": "Adding.", "tool_calls": [CALL, other]}
    sent = body(
        [USER, {"role": "user", "content": "again"}, calling, RESULT, {**RESULT, "tool_call_id": "tooluse_2"}, USER],
        tools=[TOOL],
    )["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
    assert sent[0]["content"] == [{"text": "Hi"}, {"text": "again"}]
    assert sent[1]["content"] == [{"text": "Adding."}, USED, {"toolUse": {**USED["toolUse"], "toolUseId": "tooluse_2"}}]
    assert sent[2]["content"] == [
        {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "2"}]}},
        {"toolResult": {"toolUseId": "tooluse_2", "content": [{"text": "2"}]}},
        {"text": "Hi"},
    ]


def test_results_come_before_other_content() -> None:
    """A result after a text would be refused; a cache point would stay behind another block than its own."""
    late = {"role": "user", "content": [text("Wait.", cache_control=CACHE)]}
    sent = body([USER, CALLING, late, RESULT], tools=[TOOL])["messages"][2]["content"]
    assert sent == [{"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "2"}]}}, {"text": "Wait."}, POINT]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_are_blocks_of_their_own(role: str) -> None:
    """A cache point inside the instructions, or a second instruction, would be lost."""
    cached = {"role": role, "content": [text("One.", cache_control=CACHE), text("Two.")]}
    sent = body(
        [cached, {"role": role, "content": "Three.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, USER]
    )
    end = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert sent["system"] == [{"text": "One."}, POINT, {"text": "Two."}, {"text": "Three."}, end]


def test_a_later_instruction_is_moved_to_the_front_with_a_warning() -> None:
    """An instruction would be dropped silently."""
    sent = send([USER, {"role": "system", "content": "Be brief."}], policy="warn")
    assert isinstance(sent.body, dict)
    assert sent.body["system"] == [{"text": "Be brief."}]
    (warning,) = sent.warnings
    assert warning.startswith("messages[1].role moved to the front: ")


EMPTY = {
    "an empty text": ([{"role": "user", "content": ""}], "messages[0].content"),
    "white space": ([{"role": "user", "content": " \n"}], "messages[0].content"),
    "blank parts": ([USER, {"role": "user", "content": [text(" ")]}], "messages[1].content"),
    "no message": ([{"role": "system", "content": "Be brief."}], "messages"),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_message_with_nothing_left_is_refused(name: str) -> None:
    """Bedrock would refuse it after it was sent, or a space would be sent as a message."""
    messages, place = EMPTY[name]
    assert refusal(messages) == place


def test_blank_texts_are_left_out() -> None:
    """Bedrock refuses a blank text, which its own models sometimes return."""
    assert content(text("a"), text(" "), text("")) == [{"text": "a"}]
    empty = {"role": "assistant", "content": ""}
    sent = send([USER, empty, {"role": "user", "content": "And?"}])
    assert isinstance(sent.body, dict)
    assert sent.body["messages"] == [{"role": "user", "content": [{"text": "Hi"}, {"text": "And?"}]}]
    assert sent.warnings == ["messages[1] left out: it is empty, which Bedrock refuses"]


def test_an_empty_result_is_an_empty_list() -> None:
    """A function without a result would be refused, or get a made-up text."""
    sent = body([USER, CALLING, {**RESULT, "content": ""}], tools=[TOOL])["messages"][2]["content"]
    assert sent == [{"toolResult": {"toolUseId": "tooluse_1", "content": []}}]


def test_a_result_keeps_its_status_its_parts_and_its_cache_point() -> None:
    """A failed call would look like a good one, or an image of a tool would be lost."""
    parts = [text("See"), image("data:image/png;base64,AAAA"), {"type": "json", "json": {"a": 1}}]
    message = {**RESULT, "content": parts, "status": "error", "cache_control": CACHE}
    sent = body([USER, CALLING, message], tools=[TOOL])["messages"][2]["content"]
    png = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
    result = {"toolUseId": "tooluse_1", "content": [{"text": "See"}, png, {"json": {"a": 1}}], "status": "error"}
    assert sent == [{"toolResult": result}, POINT]


def test_white_space_at_the_end_of_a_prefill_is_cut() -> None:
    """Claude refuses it."""
    sent = send([USER, {"role": "assistant", "content": "So: "}])
    assert isinstance(sent.body, dict)
    assert sent.body["messages"][1]["content"] == [{"text": "So:"}]
    assert len(sent.warnings) == 1


def test_unknown_fields_of_the_users_messages_are_refused() -> None:
    """A field that changes what the model is asked would be dropped silently."""
    assert refusal([{**USER, "weight": 0}]) == "messages[0].weight"
    assert refusal([{"role": "user", "content": [text("a", lang="en")]}]) == "messages[0].content[0].lang"


def test_unknown_fields_of_replies_are_left_out_with_a_warning() -> None:
    """A reply of another provider could not be continued here."""
    message = {"role": "assistant", "content": "Hello", "audio": {"id": "a"}, "refusal": "no", "images": [], "x": 1}
    sent = send([USER, message, USER])
    assert isinstance(sent.body, dict)
    assert sent.body["messages"][1]["content"] == [{"text": "Hello"}]
    assert [warning.partition(" ")[0] for warning in sorted(sent.warnings)] == [
        "messages[1].audio",
        "messages[1].images",
        "messages[1].refusal",
        "messages[1].x",
    ]


def test_messages_of_unknown_roles_are_sent_as_they_are() -> None:
    """A role that Bedrock adds could not be used."""
    message = CustomMessage("critic", extra={"content": [{"text": "Bad."}]})
    assert body([USER, message])["messages"][1] == {"role": "critic", "content": [{"text": "Bad."}]}


# --- parts ------------------------------------------------------------------------------------------------------------

IMAGES = {
    "png": ("data:image/png;base64,AAAA", "png"),
    "jpg": ("data:image/jpg;base64,AAAA", "jpeg"),
    "webp": ("DATA:image/WEBP;base64,AAAA", "webp"),
    "gif": ("data:image/gif;base64,AAAA", "gif"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_are_sent_as_base64(name: str) -> None:
    """An image would be refused, or sent with the format that a browser calls it."""
    url, form = IMAGES[name]
    assert content(text("a"), image(url)) == [{"text": "a"}, {"image": {"format": form, "source": {"bytes": "AAAA"}}}]


def test_images_of_buckets_are_sent_by_address() -> None:
    """A large image would have to be sent with each request."""
    source = {"s3Location": {"uri": "s3://bucket/a.jpeg"}}
    assert content(image("s3://bucket/a.jpeg")) == [{"image": {"format": "jpeg", "source": source}}]
    assert content(image("s3://bucket/a", format="image/png"))[0]["image"]["format"] == "png"


REFUSED_PARTS = {
    "an address": image("https://example.com/a.png"),
    "a tiff": image("data:image/tiff;base64,AAAA"),
    "an object without a type": image("s3://bucket/a"),
    "a document as an image": image("data:application/pdf;base64,AAAA"),
    "an uploaded file": file(file_id="file-1"),
    "a file of an unknown type": file(file_data="data:application/x-tar;base64,AAAA", filename="a.tar"),
    "a detail": image("data:image/png;base64,AAAA", detail="high"),
}


@pytest.mark.parametrize("name", REFUSED_PARTS)
def test_what_bedrock_cannot_read_is_refused(name: str) -> None:
    """A part of the question would be dropped silently, or fetched by this machine."""
    with pytest.raises(UnsupportedParameterError, match=r"messages\[0\]\.content\[1\]"):
        content(text("a"), REFUSED_PARTS[name])


@pytest.mark.parametrize("url", ["data:image/png,AAAA", "data:image/png;base64"])
def test_data_urls_without_base64_are_refused(url: str) -> None:
    """The bytes of an image would be garbage."""
    assert refusal([{"role": "user", "content": [image(url)]}]) == "messages[0].content[0].image_url.url"


def test_a_file_without_data_is_refused() -> None:
    """An empty document would be sent."""
    assert refusal([{"role": "user", "content": [file(filename="a.pdf")]}]) == "messages[0].content[0].file"


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_only_the_user_sends_images(role: str) -> None:
    """Bedrock would refuse the message after it was sent."""
    messages = [{"role": role, "content": [image("data:image/png;base64,AAAA")]}, USER]
    assert refusal(messages) == "messages[0].content[0]"


DOCUMENTS = {
    "pdf": (file(file_data=f"data:application/pdf;base64,{PDF}", filename="Annual report.pdf"), "pdf", "Annual report"),
    "bare base64": (file(file_data=PDF, filename="notes.md"), "md", "notes"),
    "without a name": (file(file_data=PDF), "pdf", "document-1"),
    "octets": (file(file_data=f"data:application/octet-stream;base64,{PDF}", filename="a.docx"), "docx", "a"),
    "a name with dots": (file(file_data=PDF, filename="v1.2.pdf"), "pdf", "document-1"),
    "a name of other letters": (file(file_data=PDF, filename="Bericht für uns.pdf"), "pdf", "document-1"),
    "two spaces": (file(file_data=PDF, filename="a  b.pdf"), "pdf", "document-1"),
    "a long name": (file(file_data=PDF, filename="a" * 201 + ".pdf"), "pdf", "document-1"),
    "its format": (file(file_data=PDF, filename="table", format="text/csv"), "csv", "table"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_have_a_format_and_a_name(name: str) -> None:
    """Bedrock would refuse the document for its name, or read it as another format."""
    part, form, title = DOCUMENTS[name]
    (sent,) = content(part)
    assert sent == {"document": {"format": form, "name": title, "source": {"bytes": PDF}}}


def test_names_of_documents_are_different() -> None:
    """Bedrock refuses two documents of one name; the model reads the new one, so the caller has to know it."""
    sent = send([{"role": "user", "content": [file(file_data=PDF, filename="a.pdf")]}] * 3)
    assert isinstance(sent.body, dict)
    names = [block["document"]["name"] for block in sent.body["messages"][0]["content"]]
    assert names == ["a", "document-2", "document-3"]
    assert len(sent.warnings) == 2


def test_documents_keep_their_context_and_citations() -> None:
    """Citations could not be asked for."""
    part = {**file(file_data=PDF, filename="a.pdf"), "citations": {"enabled": True}, "context": "HR"}
    (sent,) = content(part)
    assert sent["document"]["citations"] == {"enabled": True}
    assert sent["document"]["context"] == "HR"


def test_media_of_buckets_are_sent_by_address() -> None:
    """A film could not be asked about."""
    source = {"s3Location": {"uri": "s3://b/film.mp4"}}
    assert content(file(file_id="s3://b/film.mp4")) == [{"video": {"format": "mp4", "source": source}}]


def test_a_cache_point_stands_before_a_document() -> None:
    """Bedrock refuses a cache point right behind a document."""
    cached = {**file(file_data=PDF, filename="a.pdf"), "cache_control": CACHE}
    sent = send([{"role": "user", "content": [text("See"), cached]}])
    assert isinstance(sent.body, dict)
    assert [*map(next, map(iter, sent.body["messages"][0]["content"]))] == ["text", "cachePoint", "document"]
    assert len(sent.warnings) == 1


def pdf(name: str, **members: Any) -> dict[str, Any]:
    return {**file(file_data=PDF, filename=f"{name}.pdf"), **members}


CACHED: dict[str, tuple[list[Any], list[str], int]] = {
    "the second of two documents": (
        [text("a"), pdf("a"), pdf("b", cache_control=CACHE)],
        ["text", "cachePoint", "document", "document"],
        1,
    ),
    "a document at the beginning": ([pdf("a", cache_control=CACHE), text("a")], ["document", "text"], 1),
    "a blank text": ([text("a"), text(" ", cache_control=CACHE)], ["text", "cachePoint"], 1),
    "a blank text alone": ([text(" ", cache_control=CACHE), text("a")], ["text"], 2),
    "a guarded text": (
        [{"type": "guarded_text", "text": "a", "cache_control": CACHE}],
        ["guardContent", "cachePoint"],
        0,
    ),
    "a block of its own": (
        [{"type": "searchResult", "searchResult": {}, "cache_control": CACHE}],
        ["searchResult", "cachePoint"],
        0,
    ),
    "text": ([text("a", cache_control=CACHE), pdf("a")], ["text", "cachePoint", "document"], 0),
}


@pytest.mark.parametrize("name", CACHED)
def test_a_cache_point_stands_where_bedrock_takes_it(name: str) -> None:
    """Bedrock would refuse the request, or the cache would be lost without a word."""
    parts, kinds, warnings = CACHED[name]
    sent = send([{"role": "user", "content": parts}])
    assert isinstance(sent.body, dict)
    assert [kind for block in sent.body["messages"][0]["content"] for kind in block] == kinds
    assert len(sent.warnings) == warnings


def test_a_cache_point_of_a_reply_stands_behind_its_blocks() -> None:
    """A breakpoint on a reply with blocks of its own would be lost, or stand behind reasoning, where it is refused."""
    message = {"content": " So.", "provider_specific_fields": NATIVE, "cache_control": CACHE}
    assert turn(message) == [REASONING, {"text": "So."}, POINT]
    thinking = {"role": "assistant", "content": None, "thinking_blocks": [THOUGHT], "cache_control": CACHE}
    sent = send([USER, thinking, USER])
    assert isinstance(sent.body, dict)
    assert sent.body["messages"][1]["content"] == [REASONING]
    assert sent.warnings == ["messages[1].cache_control left out: Bedrock takes its place behind no block here"]


OWN_PARTS = {
    "a guarded text": (
        {"type": "guarded_text", "text": "a", "qualifiers": ["query"]},
        {"guardContent": {"text": {"text": "a", "qualifiers": ["query"]}}},
    ),
    "its own block": ({"type": "cachePoint", "cachePoint": {"type": "default"}}, POINT),
    "a block of tomorrow": ({"type": "smell", "smell": {"a": 1}}, {"smell": {"a": 1}}),
    "something else": ({"type": "smell", "a": 1}, {"type": "smell", "a": 1}),
}


@pytest.mark.parametrize("name", OWN_PARTS)
def test_blocks_of_bedrocks_own_are_passed_on(name: str) -> None:
    """What only Bedrock has could not be used."""
    part, sent = OWN_PARTS[name]
    assert content(text("x"), part)[1] == sent


def test_native_results_get_the_ids_of_their_calls() -> None:
    """A result in Bedrock's own form would answer no call."""
    calling = {**CALLING, "tool_calls": [{**CALL, "id": "call 1"}]}
    result = {"type": "toolResult", "toolResult": {"toolUseId": "call 1", "content": []}}
    sent = body([USER, calling, {"role": "user", "content": [result]}], tools=[TOOL])["messages"]
    assert sent[1]["content"][0]["toolUse"]["toolUseId"] == sent[2]["content"][0]["toolResult"]["toolUseId"]


# --- the assistant's turns --------------------------------------------------------------------------------------------


def turn(message: dict[str, Any], **options: Any) -> list[Any]:
    """The content that is sent for a turn of the assistant."""
    found: list[Any] = body([USER, {"role": "assistant", **message}, USER], **options)["messages"][1]["content"]
    return found


def test_signed_thinking_comes_first() -> None:
    """Claude refuses a turn whose thinking is missing, changed or not first."""
    redacted = {"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="}
    sent = turn({"content": "So.", "thinking_blocks": [THOUGHT, redacted], "reasoning_content": "Hm."})
    assert sent == [REASONING, REDACTED, {"text": "So."}]


@pytest.mark.parametrize(
    ("model", "block"), [(NOVA, THOUGHT), (CLAUDE, {"type": "thinking", "thinking": "Hm."})], ids=["nova", "unsigned"]
)
def test_thinking_that_a_model_refuses_is_left_out(model: str, block: dict[str, Any]) -> None:
    """A conversation could not go on with another model."""
    sent = send([USER, {"role": "assistant", "content": "So.", "thinking_blocks": [block]}, USER], model=model)
    assert isinstance(sent.body, dict)
    assert sent.body["messages"][1]["content"] == [{"text": "So."}]
    assert len(sent.warnings) == 1


NATIVE = {"bedrock_content": [REASONING, {"text": " "}, {"text": "So."}]}


def test_the_blocks_of_a_reply_go_back_as_they_were() -> None:
    """What OpenAI's fields cannot express would be lost with the next turn."""
    blocks = [REASONING, {"citationsContent": {"content": [{"text": "a"}], "citations": []}}, {"text": "b"}]
    message = {"content": "ab", "provider_specific_fields": {"bedrock_content": blocks}}
    assert turn(message) == blocks
    assert turn({"content": " So.", "provider_specific_fields": NATIVE}) == [REASONING, {"text": "So."}]


SPOKEN = {"content": "ab", "tool_calls": [CALL, {**CALL, "id": "tooluse_2"}]}
SPOKEN_BLOCKS = [
    REASONING,
    {"text": "a"},
    {"citationsContent": {"content": [{"text": "b"}], "citations": []}},
    USED,
    {"toolUse": {**USED["toolUse"], "toolUseId": "tooluse_2"}},
]
EDITS: dict[str, dict[str, Any]] = {
    "text": {"content": "[redacted]"},
    "parts": {"content": [{"type": "text", "text": "a"}]},
    "no text": {"content": None},
    "a call less": {"tool_calls": [CALL]},
    "no calls": {"tool_calls": None},
    "arguments": {"tool_calls": [CALL, {**CALL, "id": "tooluse_2", "function": {"name": "add", "arguments": "{}"}}]},
}


def test_a_call_whose_id_was_replaced_keeps_its_thinking() -> None:
    """A loop over tools that gives each call an id of its own would lose the thinking of the turn."""
    renamed = [CALL, {**CALL, "id": "tooluse_3"}]
    message = {**SPOKEN, "tool_calls": renamed, "provider_specific_fields": {"bedrock_content": SPOKEN_BLOCKS}}
    assert turn(message, tools=[TOOL]) == [
        *SPOKEN_BLOCKS[:-1],
        {"toolUse": {**SPOKEN_BLOCKS[-1]["toolUse"], "toolUseId": "tooluse_3"}},
    ]


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_reply_is_sent_as_it_was_edited(name: str) -> None:
    """A text that the caller removed, or a call that it dropped, would be sent nevertheless."""
    message = {**SPOKEN, "provider_specific_fields": {"bedrock_content": SPOKEN_BLOCKS}}
    assert turn(message, tools=[TOOL]) == SPOKEN_BLOCKS
    edited = {"role": "assistant", **message, **EDITS[name]}
    sent = send([USER, edited], tools=[TOOL])
    assert isinstance(sent.body, dict)
    assert sent.body["messages"][1]["content"] == turn({**SPOKEN, **EDITS[name]}, tools=[TOOL])
    assert sent.warnings == [
        "messages[1].provider_specific_fields.bedrock_content left out: the message was changed, and no longer "
        "agrees with it"
    ]


@pytest.mark.parametrize("given", [None, "", '{"a": 1}', {"a": 1}])
def test_the_input_of_a_call_goes_back_as_an_object(given: Any) -> None:
    """Bedrock would refuse the input that it or a gateway has sent, null or a text, in every later turn."""
    arguments = '{"a": 1}' if given else "{}"
    call = {"id": "t", "type": "function", "function": {"name": "add", "arguments": arguments}}
    native = [REASONING, {"toolUse": {"toolUseId": "t", "name": "add", "input": given}}]
    message = {"content": None, "tool_calls": [call], "provider_specific_fields": {"bedrock_content": native}}
    assert turn(message, tools=[TOOL])[1]["toolUse"]["input"] == json.loads(arguments)


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        (CLAUDE, [REASONING, REDACTED]),
        (NOVA, [UNSIGNED]),
        ("openai.gpt-5", [UNSIGNED, REDACTED]),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", [REASONING, UNSIGNED, REDACTED]),
    ],
)
def test_reasoning_goes_back_to_its_own_family_only(model: str, kept: list[Any]) -> None:
    """A fallback to another vendor's model would be refused for the reasoning of the first."""
    blocks = [REASONING, UNSIGNED, REDACTED, {"text": "So."}]
    message = {"content": "So.", "provider_specific_fields": {"bedrock_content": blocks}}
    assert turn(message, model=model) == [*kept, {"text": "So."}]


OTHERS = [name for name in DIALECTS if name not in ("bedrock_converse", "replicate_predictions")]


@pytest.mark.parametrize("dialect", OTHERS)
def test_no_other_provider_gets_the_blocks(dialect: str) -> None:
    """Bedrock's signatures would be sent to another provider, which refuses them."""
    message = {"role": "assistant", "content": "So.", "reasoning_content": "Hm.", "provider_specific_fields": NATIVE}
    request = build_request("m", [USER, message, USER], {"max_tokens": 9})
    quirks = DIALECTS[dialect].quirks_type()
    target = Target(provider="other", model="m", base_url="https://x.example", quirks=quirks)
    encoded = DIALECTS[dialect].encode(request, target, {})
    assert isinstance(encoded, HttpRequest)
    sent = dumps(encoded.body).decode()
    assert "sig==" not in sent
    assert "reasoningContent" not in sent


def test_fields_of_another_provider_are_left_out_with_a_warning() -> None:
    """The caller would not know that a provider's own content is missing after a fallback to another one."""
    message = {"role": "assistant", "content": "So.", "provider_specific_fields": {"anthropic_content": []}}
    sent = send([USER, message, USER])
    assert sent.warnings == [
        "messages[1].provider_specific_fields left out: only the provider that wrote it understands it"
    ]


def test_redacted_thinking_without_data_is_left_out() -> None:
    """Bedrock would refuse a null in the place of the data."""
    sent = send([USER, {"role": "assistant", "content": "a", "thinking_blocks": [{"type": "redacted_thinking"}]}, USER])
    assert isinstance(sent.body, dict)
    assert sent.body["messages"][1]["content"] == [{"text": "a"}]
    assert len(sent.warnings) == 1


@pytest.mark.parametrize("model", [".", ".."])
def test_a_model_that_would_change_the_path_is_refused(model: str) -> None:
    """The request would go to another path of AWS."""
    assert refusal([USER], model=model) == "model"


def test_blocks_that_are_none_are_refused() -> None:
    """A damaged conversation would raise an exception of another kind."""
    for damaged in ("text", [1]):
        message = {"role": "assistant", "content": "a", "provider_specific_fields": {"bedrock_content": damaged}}
        assert refusal([USER, message]) == "messages[1].provider_specific_fields.bedrock_content"


def test_tools_that_bedrock_runs_keep_their_ids() -> None:
    """The call of a server's tool and its result would no longer belong together."""
    use = {"toolUse": {"toolUseId": "tooluse 9", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "tooluse 9", "content": [], "type": "nova_grounding_result"}}
    message = {"content": "a", "provider_specific_fields": {"bedrock_content": [use, result, {"text": "a"}]}}
    assert turn(message, model=NOVA, tools=[TOOL]) == [use, result, {"text": "a"}]


@pytest.mark.parametrize("arguments", ["[]", "{", "7", '"x"'])
def test_arguments_that_are_no_object_become_a_field_of_one(arguments: str) -> None:
    """A conversation with a call that a model made wrong could not go on, or the model would not see its mistake."""
    call = {**CALL, "function": {"name": "add", "arguments": arguments}}
    request = send([USER, {**CALLING, "tool_calls": [call]}, RESULT], tools=[TOOL])
    assert request.body["messages"][1]["content"][-1]["toolUse"]["input"] == {"invalid_json": arguments}
    assert len(request.warnings) == 1


def test_custom_calls_are_refused() -> None:
    """The input of a grammar would be sent as JSON."""
    call = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    assert refusal([USER, {**CALLING, "tool_calls": [call]}], tools=[TOOL]) == "messages[1].tool_calls[0]"


def test_calls_without_their_tools_are_refused() -> None:
    """Bedrock would refuse the conversation with a text that names none of the caller's parameters."""
    assert refusal([USER, CALLING, RESULT]) == "tools"
    config = {"toolConfig": {"tools": [{"toolSpec": {"name": "add", "inputSchema": {"json": {}}}}]}}
    assert body([USER, CALLING, RESULT], extra_body=config)["toolConfig"] == config["toolConfig"]


def test_a_managed_prompt_needs_neither_messages_nor_tools() -> None:
    """A prompt of Bedrock's own, which has them, could not be used."""
    prompt = "arn:aws:bedrock:us-east-1:1:prompt/PROMPT12345:1"
    sent = body([USER, CALLING, RESULT], model=prompt, extra_body={"promptVariables": {"a": {"text": "b"}}})
    assert sent["promptVariables"] == {"a": {"text": "b"}}
    assert "toolConfig" not in sent


# --- ids of calls -----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.text(max_size=80), min_size=1, max_size=5), st.sampled_from([CLAUDE, "mistral.mistral-large-2402-v1:0"])
)
def test_calls_and_results_have_valid_ids_that_belong_together(ids: list[str], model: str) -> None:
    """A model would refuse the ids of another provider's calls, or a result would answer another call."""
    messages: list[Any] = [USER]
    for given_id in ids:
        messages += [{**CALLING, "tool_calls": [{**CALL, "id": given_id}]}, {**RESULT, "tool_call_id": given_id}]
    turns = body(messages, model=model, tools=[TOOL])["messages"][1:]
    used = [each["content"][0]["toolUse"]["toolUseId"] for each in turns[::2]]
    answered = [each["content"][0]["toolResult"]["toolUseId"] for each in turns[1::2]]
    assert used == answered
    assert len(set(used)) == len(used)
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") | (
        set() if "mistral" in model else set("_.:-")
    )
    assert all(set(each) <= allowed and 1 <= len(each) <= 64 for each in used)
    assert all(len(each) == 9 for each in used) or "mistral" not in model


def test_valid_ids_are_kept() -> None:
    """A conversation's beginning would change, and miss the cache."""
    for given_id in ("tooluse_ab-C.1:2", "x" * 64):
        calling = {**CALLING, "tool_calls": [{**CALL, "id": given_id}]}
        sent = body([USER, calling, {**RESULT, "tool_call_id": given_id}], tools=[TOOL])["messages"][1]
        assert sent["content"][0]["toolUse"]["toolUseId"] == given_id


def test_ids_of_a_beginning_do_not_depend_on_what_follows() -> None:
    """Each turn would change the ids before it, and no cache would find the conversation."""
    rounds = [[{**CALLING, "tool_calls": [{**CALL, "id": "call 0"}]}, {**RESULT, "tool_call_id": "call 0"}]] * 3
    sent = [
        body([USER, *itertools.chain(*rounds[:count])], tools=[TOOL])["messages"] for count in range(1, len(rounds) + 1)
    ]
    assert all(longer[: len(shorter)] == shorter for shorter, longer in itertools.pairwise(sent))


# --- requests that stay as they are, and time -------------------------------------------------------------------------


def test_the_callers_values_are_not_changed() -> None:
    """A caller who sends the same messages again would send others."""
    messages = [
        {"role": "system", "content": [text("a", cache_control=CACHE)]},
        USER,
        {
            "role": "assistant",
            "content": "So. ",
            "provider_specific_fields": {"bedrock_content": [USED, {"text": "x "}]},
        },
        {**RESULT, "content": [text("2")]},
        USER,
    ]
    extra = {"inferenceConfig": {"topP": 1}, "toolConfig": {"tools": []}}
    before = json.dumps([messages, extra])
    request = build_request(CLAUDE, messages, {"tools": [TOOL], "temperature": 0})
    request.extra_body = extra
    target = Target(provider="bedrock", model=CLAUDE, base_url="https://x.example")
    first = DIALECT.encode(request, target, {})
    second = DIALECT.encode(request, target, {})
    assert isinstance(first, HttpRequest)
    assert isinstance(second, HttpRequest)
    assert first.body == second.body
    assert json.dumps([messages, extra]) == before


def test_many_messages_take_linear_time() -> None:
    """A long conversation would block the event loop."""
    pair = [CALLING, RESULT]
    start = time.process_time()
    body([USER, *pair * 5_000], tools=[TOOL])
    body([{"role": "user", "content": [file(file_data=PDF, filename="a.pdf")] * 5_000}])
    assert time.process_time() - start < 5
