"""Encoding of requests for Gemini: a chat request → the exact URL and body."""

import base64
from typing import Any

import pytest

from anycompletion.codecs.sse import MAX_MEDIA_EVENT
from anycompletion.errors import InvalidRequestError, UnsupportedParameterError
from anycompletion.records import AssistantMessage, CustomMessage, UserMessage
from support.gemini_replies import HI, body_of, contents, send

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "add_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
SUB = {"id": "sub_1", "type": "function", "function": {"name": "sub", "arguments": ""}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "add_1", "content": "2"}
FUNCTION_CALL = {"functionCall": {"name": "add", "args": {"a": 1}}}
PLACEHOLDER = base64.b64encode(b"skip_thought_signature_validator").decode()
OLD = "gemini-2.5-flash"
PNG = "data:image/png;base64,iVBORw0KGgo="
PNG_PART = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def parts_of(*parts: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    (content,) = contents(user(*parts), **options)
    found: list[dict[str, Any]] = content["parts"]
    return found


def model_parts(message: Any, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = contents(USER, message, **options)[1]["parts"]
    return found


# --- the request ------------------------------------------------------------------------------------------------------


def test_a_complete_request() -> None:
    """A plain question would be sent to the wrong URL or with a wrong body."""
    request = send([{"role": "system", "content": "Be brief."}, USER], max_tokens=5)
    url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-flash-preview:generateContent"
    assert (request.method, request.url, request.headers) == ("POST", url, {})
    assert request.body == {
        "contents": [HI],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"maxOutputTokens": 5},
    }
    assert request.max_response_bytes == MAX_MEDIA_EVENT
    assert request.warnings == []


ROOT = "https://generativelanguage.googleapis.com"
PROJECT = "https://aiplatform.googleapis.com/projects/p/locations/global"
VERTEX = "/publishers/google/models/{model}:{method}"


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"stream": True}, f"{ROOT}/v1beta/models/gemini-x:streamGenerateContent?alt=sse"),
        ({"model": "models/gemini-x"}, f"{ROOT}/v1beta/models/gemini-x:generateContent"),
        ({"model": "tunedModels/mine-1"}, f"{ROOT}/v1beta/tunedModels/mine-1:generateContent"),
        ({"api_version": "v1"}, f"{ROOT}/v1/models/gemini-x:generateContent"),
        ({"api_version": "beta"}, f"{ROOT}/v1beta/models/gemini-x:generateContent"),
        ({"base_url": "https://gw/google/v1"}, "https://gw/google/v1/models/gemini-x:generateContent"),
        ({"model": "a b?c&d"}, f"{ROOT}/v1beta/models/a%20b%3Fc%26d:generateContent"),
        (
            {"base_url": PROJECT, "path": VERTEX, "vertex": True},
            "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global/publishers/google/models/gemini-x"
            ":generateContent",
        ),
        (
            {"base_url": PROJECT, "path": VERTEX, "vertex": True, "model": "endpoints/12", "api_version": "v1"},
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/12:generateContent",
        ),
        (
            {"base_url": PROJECT, "path": VERTEX, "vertex": True, "model": "projects/q/locations/us/endpoints/3"},
            "https://aiplatform.googleapis.com/v1beta1/projects/q/locations/us/endpoints/3:generateContent",
        ),
        (
            {"base_url": "https://aiplatform.googleapis.com", "path": VERTEX, "vertex": True},
            "https://aiplatform.googleapis.com/v1beta1/publishers/google/models/gemini-x:generateContent",
        ),
    ],
)
def test_urls(options: dict[str, Any], url: str) -> None:
    """A version, a resource or a project would be at a wrong place of the URL."""
    assert send("Hi", **{"model": "gemini-x", **options}).url == url


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"model": "../secrets"}, "model"),
        ({"model": "tunedModels/../x"}, "model"),
        ({"model": "tunedModels//x"}, "model"),
        ({"base_url": "https://gw/v1beta/models/gemini-x:generateContent"}, "base_url"),
    ],
)
def test_urls_that_lead_elsewhere_are_refused(options: dict[str, Any], param: str) -> None:
    """A model's name would change the path, or the path would be doubled."""
    with pytest.raises(InvalidRequestError) as caught:
        send("Hi", **options)
    assert caught.value.param == param


def test_the_callers_fields_do_not_erase_ours() -> None:
    """One setting of `extra_body` would remove the parameters of the call."""
    tool = {"type": "function", "function": {"name": "add"}}
    extra = {
        "generationConfig": {"topK": 3},
        "toolConfig": {"retrievalConfig": {}},
        "tools": [{"googleSearch": {}}],
        "labels": {"a": "b"},
    }
    body = body_of("Hi", temperature=0.5, tools=[tool], tool_choice="required", model=OLD, extra_body=extra)
    assert body["generationConfig"] == {"temperature": 0.5, "topK": 3}
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}, "retrievalConfig": {}}
    assert body["tools"] == [{"functionDeclarations": [{"name": "add"}]}, {"googleSearch": {}}]
    assert body["labels"] == {"a": "b"}


def test_more_candidates_than_one_request_returns() -> None:
    """A request for many choices would be refused by the server in place of being filled by others."""
    assert body_of("Hi", n=10, model=OLD)["generationConfig"] == {"candidateCount": 8}


def test_server_tools_beside_functions() -> None:
    """Gemini 3 would refuse the request, or older models and Vertex AI a field that they do not know."""
    tools = [{"type": "function", "function": {"name": "add"}}, {"type": "googleSearch"}]
    assert body_of("Hi", tools=tools)["toolConfig"] == {"includeServerSideToolInvocations": True}
    assert "toolConfig" not in body_of("Hi", tools=tools, model=OLD)
    assert "toolConfig" not in body_of("Hi", tools=tools, vertex=True)


def test_functions_of_the_callers_body_are_functions() -> None:
    """The choice of a tool would be dropped, or functions be taken for tools that Google runs."""
    for name in ("functionDeclarations", "function_declarations"):
        extra = {"tools": [{name: [{"name": "add"}]}]}
        body = body_of("Hi", tool_choice="required", extra_body=extra)
        assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}


def test_native_tools_have_their_settings() -> None:
    """The settings of Google's own tools would be lost."""
    tools = [{"type": "fileSearch", "fileSearchStoreNames": ["s"]}, {"type": "googleMaps", "googleMaps": {"x": 1}}]
    assert body_of("Hi", tools=tools)["tools"] == [
        {"fileSearch": {"fileSearchStoreNames": ["s"]}},
        {"googleMaps": {"x": 1}},
    ]


def test_a_native_schema_is_kept() -> None:
    """A function would have two schemas, which Google refuses."""
    function = {"name": "add", "parameters": {"type": "OBJECT"}, "description": "d", "behavior": "NON_BLOCKING"}
    tool = {"type": "function", "function": {**function, "parameters": {"type": "object", "properties": {}}}}
    (declared,) = body_of("Hi", tools=[tool])["tools"][0]["functionDeclarations"]
    assert declared == {
        "name": "add",
        "description": "d",
        "parametersJsonSchema": {"type": "object", "properties": {}},
        "behavior": "NON_BLOCKING",
    }


def test_labels_go_to_vertex_ai() -> None:
    """Metadata would be lost, or be sent under a name that Google does not know."""
    assert body_of("Hi", metadata={"team": "a"}, vertex=True)["labels"] == {"team": "a"}


@pytest.mark.parametrize("policy", ["raise", "warn", "drop"])
def test_parts_that_cannot_be_sent_are_refused(policy: Any) -> None:
    """The model would be asked something else."""
    for part in ({"type": "video", "video": 1, "x": 2}, {"type": "file", "file": {"file_id": "file-1"}}):
        kept = {name: value for name, value in part.items() if name != "video"}
        with pytest.raises(UnsupportedParameterError):
            send([user(kept)], policy=policy)


# --- media ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "image_url", "image_url": {"url": PNG}}, PNG_PART),
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AA=="}},
            {"inlineData": {"mimeType": "image/jpeg", "data": "AA=="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO Rw0KGgo%3D"}},
            PNG_PART,
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x/a?b=1", "format": "image/webp"}},
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://x/a?b=1"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}},
            {"fileData": {"mimeType": "image/png", "fileUri": "gs://bucket/a.png"}},
        ),
        (
            {"type": "file", "file": {"file_id": "https://www.youtube.com/watch?v=1"}},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
        ),
        ({"type": "file", "file": {"file_id": "files/abc"}}, {"fileData": {"fileUri": "files/abc"}}),
        (
            {
                "type": "file",
                "file": {"file_id": "gs://b/a.mp4", "video_metadata": {"fps": 2}, "detail": "low"},
            },
            {
                "fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/a.mp4"},
                "videoMetadata": {"fps": 2},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
            },
        ),
        (
            {"type": "file", "file": {"file_data": "JVBERg==", "filename": "a.pdf"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        ),
        (
            {"type": "file", "file": {"file_data": "AAAA", "filename": "a.mp3"}},
            {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "AAAA"}},
        ),
        (
            {"type": "executableCode", "executableCode": {"language": "PYTHON", "code": "1"}},
            {"executableCode": {"language": "PYTHON", "code": "1"}},
        ),
    ],
)
def test_media(part: dict[str, Any], expected: dict[str, Any]) -> None:
    """Media would be sent in a wrong form, or without its type."""
    assert parts_of({"type": "text", "text": "?"}, part) == [{"text": "?"}, expected]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "https://x/a"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "http://x/a.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:;base64,AA=="}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": PNG, "detail": "original"}}, "image_url.detail"),
        ({"type": "file", "file": {"filename": "a.pdf"}}, "file"),
        ({"type": "file", "file": {"file_id": "https://[x/a"}}, "file.file_id"),
    ],
)
def test_media_that_cannot_be_sent(part: dict[str, Any], param: str) -> None:
    """Google would be asked to fetch what it cannot, or the refusal would not name the place."""
    with pytest.raises(InvalidRequestError) as caught:
        parts_of({"type": "text", "text": "?"}, part)
    assert caught.value.param == f"messages[0].content[1].{param}"


def test_older_models_have_one_resolution() -> None:
    """Gemini 2.5 would refuse a part's resolution, or all images would silently get that of one."""
    low = {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}
    body = body_of([user(low, low)], model=OLD)
    assert body["generationConfig"] == {"mediaResolution": "MEDIA_RESOLUTION_LOW"}
    assert body["contents"][0]["parts"] == [PNG_PART, PNG_PART]
    high = {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}}
    with pytest.raises(UnsupportedParameterError) as caught:
        send([user(low, high)], model=OLD)
    assert caught.value.param == "messages[0].content[1].image_url.detail"


# --- messages ---------------------------------------------------------------------------------------------------------


def test_instructions_in_parts() -> None:
    """Parts of an instruction would be lost."""
    system = {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    body = body_of([system, {"role": "developer", "content": "c"}, USER])
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}


def test_a_later_instruction_is_moved_with_a_warning() -> None:
    """A later instruction would be lost."""
    request = send([USER, {"role": "system", "content": "Be brief."}], policy="warn")
    assert request.body == {"contents": [HI], "systemInstruction": {"parts": [{"text": "Be brief."}]}}
    assert request.warnings[0].startswith("messages[1].role moved to the front")


@pytest.mark.parametrize("text", ["[1]", "{"])
def test_arguments_that_are_no_object_become_a_field_of_one(text: str) -> None:
    """A conversation with a call that a model made wrong could not go on, or the model would not see its mistake."""
    call = {**CALL, "function": {"name": "add", "arguments": text}}
    request = send([USER, {"role": "assistant", "tool_calls": [call]}, RESULT])
    assert request.body is not None
    (part,) = request.body["contents"][1]["parts"]
    assert part["functionCall"]["args"] == {"invalid_json": text}
    assert any("invalid_json" in warning for warning in request.warnings)


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "system", "content": "Be brief."}], "messages"),
        ([USER, {"role": "user", "content": ""}], "messages[1].content"),
        ([USER, RESULT], "messages[1].tool_call_id"),
        ([USER, {"role": "function", "name": "add", "content": "2"}], "messages[1].name"),
        (
            [USER, {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sql"}}]}],
            "messages[1].tool_calls[0]",
        ),
        (
            [USER, AssistantMessage("x", provider_specific_fields={"gemini_content": ["x"]})],
            "messages[1].provider_specific_fields.gemini_content",
        ),
        (
            [USER, AssistantMessage("x", provider_specific_fields={"gemini_content": "x"})],
            "messages[1].provider_specific_fields.gemini_content",
        ),
    ],
)
def test_messages_that_cannot_be_sent(messages: Any, param: str) -> None:
    """A message would be dropped, or the refusal would not name the place."""
    with pytest.raises(InvalidRequestError) as caught:
        send(messages)
    assert caught.value.param == param


def test_empty_messages_are_left_out_with_a_warning() -> None:
    """Google would refuse the request for a content without parts."""
    request = send([{"role": "user", "content": ""}, {"role": "assistant", "content": ""}, USER])
    assert request.body == {"contents": [HI]}
    assert [warning.partition(" left out")[0] for warning in request.warnings] == ["messages[0]", "messages[1]"]


def test_a_message_of_another_role_is_sent_as_it_is() -> None:
    """A role that Google adds later could not be used."""
    assert contents(UserMessage("Hi"), CustomMessage("tool_code", extra={"parts": []})) == [
        HI,
        {"role": "tool_code", "parts": []},
    ]


def test_a_field_of_the_caller_is_no_result() -> None:
    """A message with a field of its own would crash the call."""
    message = {"role": "user", "content": "Hi", "results": 5}
    assert contents(message, CustomMessage("tool_code", extra={"results": [1]})) == [
        {**HI, "results": 5},
        {"role": "tool_code", "results": [1]},
    ]


def test_an_unknown_field_replaces_no_content() -> None:
    """A field that OpenAI's format does not have would be sent in place of the message."""
    system = {"role": "system", "content": "Be brief.", "parts": []}
    result = {**RESULT, "response": {"output": "3"}, "scheduling": "SILENT"}
    request = send([system, {**USER, "parts": [{"text": "no"}]}, CALLING, result], model=OLD)
    instruction, question, _, answer = request.body["systemInstruction"], *request.body["contents"]  # type: ignore[index]
    assert (instruction, question) == ({"parts": [{"text": "Be brief."}]}, HI)
    sent = {"name": "add", "response": {"output": "2"}, "scheduling": "SILENT"}
    assert answer["parts"] == [{"functionResponse": sent}]
    left_out = {warning.partition(" left out")[0] for warning in request.warnings}
    assert left_out == {"messages[0].parts", "messages[1].parts", "messages[3].response"}


def test_what_is_not_sent_of_a_reply_is_reported() -> None:
    """Fields of another provider's reply would be refused by Google, or be lost without a warning."""
    message = {
        "role": "assistant",
        "content": "Hello",
        "refusal": "no",
        "reasoning_content": "hm",
        "audio": {"id": "a"},
        "cache": 1,
        "index": 0,
    }
    request = send([USER, message, USER])
    assert request.body == {"contents": [HI, {"role": "model", "parts": [{"text": "Hello"}]}, HI]}
    left_out = [warning.partition(" left out")[0] for warning in request.warnings]
    assert left_out == [f"messages[1].{name}" for name in ("refusal", "reasoning_content", "audio", "cache")]


def test_a_refusal_is_sent_as_text() -> None:
    """An earlier refusal would be lost."""
    assert model_parts({"role": "assistant", "content": None, "refusal": "No."}) == [{"text": "No."}]


# --- calls and results ------------------------------------------------------------------------------------------------


def test_calls_of_another_model_get_the_placeholder() -> None:
    """Gemini 3 would refuse a conversation that another model began."""
    request = send([USER, {**CALLING, "tool_calls": [CALL, SUB]}, RESULT, {**RESULT, "tool_call_id": "sub_1"}])
    assert request.body["contents"][1]["parts"] == [  # type: ignore[index]
        {**FUNCTION_CALL, "thoughtSignature": PLACEHOLDER},
        {"functionCall": {"name": "sub", "args": {}}},
    ]
    assert len(request.warnings) == 1
    assert model_parts(CALLING, model=OLD) == [FUNCTION_CALL]


def test_results_of_one_turn_are_one_content_in_the_order_of_the_calls() -> None:
    """Google would refuse results in several contents, or give a result to another call of the same function."""
    calls = [CALL, {**CALL, "id": "add_2"}, SUB]
    results = [{"role": "tool", "tool_call_id": name, "content": name} for name in ("sub_1", "add_2", "add_1")]
    *_, last, question = contents(USER, {**CALLING, "tool_calls": calls}, *results, USER, model=OLD)
    assert last == {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "add", "response": {"output": "add_1"}}},
            {"functionResponse": {"name": "add", "response": {"output": "add_2"}}},
            {"functionResponse": {"name": "sub", "response": {"output": "sub_1"}}},
        ],
    }
    assert question == HI


def test_a_late_result_joins_those_of_its_turn() -> None:
    """A result after another message would be a content of its own, which Google refuses."""
    found = contents(
        USER, {**CALLING, "tool_calls": [CALL, SUB]}, RESULT, USER, {**RESULT, "tool_call_id": "sub_1"}, model=OLD
    )
    assert [content["role"] for content in found] == ["user", "model", "user", "user"]
    assert len(found[2]["parts"]) == 2


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("2", {"output": "2"}),
        ("", {"output": ""}),
        ('{"sum": 2}', {"sum": 2}),
        ('{"sum": ', {"output": '{"sum": '}),
        ("[1]", {"output": "[1]"}),
        ('{"a": [{"$ref": "x"}]}', {"output": '{"a": [{"$ref": "x"}]}'}),
        ('{"a": [NaN]}', {"output": '{"a": [NaN]}'}),
        ('{"a": 1e999}', {"output": '{"a": 1e999}'}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"output": "a\nb"}),
    ],
)
def test_results_are_objects(content: Any, response: dict[str, Any]) -> None:
    """Google would refuse a result that is no object, or resolve a reference in it."""
    *_, last = contents(USER, CALLING, {**RESULT, "content": content}, model=OLD)
    assert last["parts"] == [{"functionResponse": {"name": "add", "response": response}}]


def test_a_repeated_id_is_that_of_the_latest_turn() -> None:
    """A result would go to an abandoned call of an earlier turn with the same id."""
    again = {**CALLING, "tool_calls": [{**SUB, "id": "add_1"}]}
    *_, last = contents(USER, CALLING, USER, again, RESULT, model=OLD)
    assert last["parts"] == [{"functionResponse": {"name": "sub", "response": {"output": "2"}}}]


def test_media_of_results() -> None:
    """Older models would refuse media inside a result, and newer ones would not connect them to the call."""
    result = {**RESULT, "content": [{"type": "text", "text": "2"}, {"type": "image_url", "image_url": {"url": PNG}}]}
    answer = {"name": "add", "response": {"output": "2"}}
    assert contents(USER, CALLING, result)[2]["parts"] == [{"functionResponse": {**answer, "parts": [PNG_PART]}}]
    assert contents(USER, CALLING, result, model=OLD)[2]["parts"] == [{"functionResponse": answer}, PNG_PART]


def test_legacy_functions() -> None:
    """A conversation in OpenAI's first form could not go on with Gemini."""
    called = {"role": "assistant", "content": None, "function_call": CALL["function"]}
    result = {"role": "function", "name": "add", "content": "2"}
    assert contents(USER, called, result, called, {**result, "content": "3"}, model=OLD)[1:] == [
        {"role": "model", "parts": [FUNCTION_CALL]},
        {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"output": "2"}}}]},
        {"role": "model", "parts": [FUNCTION_CALL]},
        {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"output": "3"}}}]},
    ]


# --- signatures -------------------------------------------------------------------------------------------------------

SIGNED = {"google": {"thought_signature": "AAAA"}}


def signed_call(extra: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [{**CALL, **extra}]}


@pytest.mark.parametrize(
    ("extra", "vertex", "signature"),
    [
        ({"extra_content": SIGNED}, False, "AAAA"),
        ({"extra_content": SIGNED}, True, PLACEHOLDER),
        ({"extra_content": {"vertex": {"thought_signature": "BBBB"}}}, True, "BBBB"),
        ({"provider_specific_fields": {"thought_signature": "CCCC"}}, False, "CCCC"),
        ({"extra_content": {"google": 1}}, False, PLACEHOLDER),
    ],
)
def test_signatures_of_calls(extra: dict[str, Any], vertex: bool, signature: str) -> None:
    """A signature in the form of Google's chat endpoint or of LiteLLM would be lost, or go to the other service."""
    (part,) = model_parts(signed_call(extra), vertex=vertex)
    assert part == {**FUNCTION_CALL, "thoughtSignature": signature}


def test_the_signature_of_a_text() -> None:
    """The signature of a text of Google's chat endpoint would be lost."""
    message = {"role": "assistant", "content": "Hello", "extra_content": SIGNED}
    assert model_parts(message) == [{"text": "Hello", "thoughtSignature": "AAAA"}]


NATIVE = [
    {"text": "hm", "thought": True},
    {"functionCall": {"name": "add", "args": {"a": 1}, "id": "f1"}, "thoughtSignature": "AA-_"},
    {"functionCall": {"name": "sub"}},
    {"thoughtSignature": "x"},
]


ANSWERED: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{**CALL, "id": "f1"}, {**SUB, "id": "call_r1_1"}],
    "provider_specific_fields": {"gemini_content": NATIVE},
}
"""The message of a reply with these parts."""


def test_native_parts_are_sent_back_unchanged() -> None:
    """Signatures, thoughts or ids of the model would be changed."""
    results = [{"role": "tool", "tool_call_id": name, "content": "2"} for name in ("call_r1_1", "f1")]
    _, turn, answers = contents(USER, ANSWERED, *results)
    assert turn == {"role": "model", "parts": NATIVE}
    assert answers["parts"] == [
        {"functionResponse": {"name": "add", "id": "f1", "response": {"output": "2"}}},
        {"functionResponse": {"name": "sub", "response": {"output": "2"}}},
    ]


F1, SUB_1 = ANSWERED["tool_calls"]
SENT_F1 = {**FUNCTION_CALL, "thoughtSignature": "AA-_"}
SENT_SUB = {"functionCall": {"name": "sub", "args": {}}}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"content": "new"}, [{"text": "new"}, SENT_F1, SENT_SUB]),
        ({"content": [{"type": "text", "text": "new"}]}, [{"text": "new"}, SENT_F1, SENT_SUB]),
        ({"tool_calls": [F1]}, [SENT_F1]),
        ({"tool_calls": [SUB_1]}, [{**SENT_SUB, "thoughtSignature": PLACEHOLDER}]),
        ({"tool_calls": [SUB_1, F1]}, [SENT_SUB, SENT_F1]),
        (
            {"tool_calls": [{**F1, "function": {"name": "add", "arguments": '{"a": 2}'}}, SUB_1]},
            [{"functionCall": {"name": "add", "args": {"a": 2}}, "thoughtSignature": "AA-_"}, SENT_SUB],
        ),
        ({"content": "new", "tool_calls": None}, [{"text": "new"}]),
    ],
)
def test_a_changed_message_is_sent_as_it_is(changes: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    """A text or a call that the caller removed would be sent nevertheless, and what replaced it would not."""
    request = send([USER, {**ANSWERED, **changes}])
    assert request.body["contents"][1]["parts"] == parts  # type: ignore[index]
    assert "the message was changed" in request.warnings[0]


def test_results_of_reordered_calls_go_to_their_functions() -> None:
    """The result of one function would be given to the model as that of another."""
    results = [{"role": "tool", "tool_call_id": name, "content": name} for name in ("f1", "call_r1_1")]
    *_, answers = contents(USER, {**ANSWERED, "tool_calls": [SUB_1, F1]}, *results)
    assert [part["functionResponse"]["name"] for part in answers["parts"]] == ["sub", "add"]
    assert [part["functionResponse"]["response"]["output"] for part in answers["parts"]] == ["call_r1_1", "f1"]


def test_a_signature_of_a_changed_turn_is_found_by_the_number_in_an_id() -> None:
    """Gemini 3 would refuse a changed turn whose model gave its calls no ids."""
    native = [{**FUNCTION_CALL, "thoughtSignature": "AA"}]
    fields = {"gemini_content": native}
    message = {**CALLING, "content": "new", "tool_calls": [{**CALL, "id": "call_r1_0"}]}
    assert model_parts({**message, "provider_specific_fields": fields}) == [{"text": "new"}, *native]


def test_a_legacy_message_goes_back_with_its_one_call() -> None:
    """The model would wait for the result of a call that the caller never saw."""
    native = [{**FUNCTION_CALL, "thoughtSignature": "AA"}, FUNCTION_CALL, {"text": "x"}]
    fields = {"gemini_content": native}
    message = {"role": "assistant", "content": "x", "function_call": CALL["function"]}
    assert model_parts({**message, "provider_specific_fields": fields}) == [native[0], native[2]]


def test_parts_without_content_do_not_go_back_to_vertex_ai() -> None:
    """Vertex AI would refuse a part that it sent itself."""
    fields = {"gemini_content": NATIVE, "gemini_backend": "vertex"}
    message = AssistantMessage.from_dict({**ANSWERED, "provider_specific_fields": fields})
    assert model_parts(message, vertex=True) == NATIVE[:3]


@pytest.mark.parametrize(("backend", "vertex"), [("vertex", False), (None, True)])
def test_native_parts_do_not_go_to_the_other_service(backend: str | None, vertex: bool) -> None:
    """Google would refuse the signatures of its other service."""
    fields: dict[str, Any] = {"gemini_content": NATIVE}
    if backend is not None:
        fields["gemini_backend"] = backend
    message = {**CALLING, "content": "Hello", "provider_specific_fields": fields}
    assert model_parts(message, vertex=vertex) == [
        {"text": "Hello"},
        {**FUNCTION_CALL, "thoughtSignature": PLACEHOLDER},
    ]


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.5-pro", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("models/gemini-2.5-flash-lite", "none", {"thinkingBudget": 0}),
        ("gemini-3-pro-preview", "high", {"thinkingLevel": "high", "includeThoughts": True}),
        ("gemini-flash-latest", "minimal", {"thinkingLevel": "minimal", "includeThoughts": True}),
        ("tunedModels/x", "high", {"thinkingLevel": "high", "includeThoughts": True}),
        ("gemini-3.1-flash-image", "minimal", {"thinkingLevel": "minimal", "includeThoughts": True}),
    ],
)
def test_efforts(model: str, effort: str, config: dict[str, Any]) -> None:
    """An effort would be sent in a form that the model refuses, or without thoughts in the reply."""
    assert body_of("Hi", model=model, reasoning_effort=effort)["generationConfig"]["thinkingConfig"] == config


@pytest.mark.parametrize(
    ("thinking", "config"),
    [
        ({"type": "enabled", "thinkingBudget": 100}, {"thinkingBudget": 100}),
        ({"type": "enabled", "budget_tokens": 100}, {"thinkingBudget": 100, "includeThoughts": True}),
        ({"thinkingLevel": "low", "includeThoughts": False}, {"thinkingLevel": "low", "includeThoughts": False}),
    ],
)
def test_thinking(thinking: dict[str, Any], config: dict[str, Any]) -> None:
    """Google would refuse a field that it does not know."""
    assert body_of("Hi", model=OLD, thinking=thinking)["generationConfig"]["thinkingConfig"] == config


def test_the_schema_of_an_object() -> None:
    """A schema would be dropped, or its description without a word."""
    schema = {"type": "object"}
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    assert body_of("Hi", response_format={"type": "json_object", "schema": schema})["generationConfig"] == config
    named = {"name": "x", "schema": schema, "description": "D"}
    request = send("Hi", response_format={"type": "json_schema", "json_schema": named})
    assert request.body["generationConfig"] == config  # type: ignore[index]
    assert ["description left out" in warning for warning in request.warnings] == [True]


@pytest.mark.parametrize(
    ("model", "params", "param"),
    [
        (OLD, {"thinking": {"type": "enabled", "display": "omitted"}}, "thinking.display"),
        (OLD, {"thinking": {"type": "disabled", "thinkingBudget": 5}}, "thinking.type"),
        ("gemini-2.5-pro", {"thinking": {"type": "disabled"}}, "thinking.type"),
        ("gemini-2.5-pro", {"thinking": {"type": "other"}}, "thinking.type"),
        ("gemini-2.0-flash", {"tools": [{"type": "function", "function": {"name": "a", "strict": True}}]}, None),
        ("gemini-x", {"response_format": {"type": "grammar"}}, "response_format"),
        ("gemini-x", {"tool_choice": {"type": "mcp", "server_label": "x"}}, "tool_choice"),
    ],
)
def test_values_that_a_model_does_not_take(model: str, params: dict[str, Any], param: str | None) -> None:
    """A value that has no form in Gemini's requests would be dropped."""
    with pytest.raises(UnsupportedParameterError) as caught:
        send("Hi", model=model, **params)
    assert caught.value.param == (param or "tools[0].function.strict")
