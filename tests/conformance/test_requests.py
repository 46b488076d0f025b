"""Every recorded request body, passed to the client as a call's arguments, is sent as it was recorded.

Only defaults are added: `STREAM_DEFAULTS` for streams, the type of a tool that has a function, and an empty reasoning
for servers that refuse calls without one.
"""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from anycompletion import APIError, CompletionStream, InvalidRequestError
from anycompletion.dialects.openai_chat.params import STREAM_DEFAULTS
from anycompletion.records import PARAM_NAMES
from anycompletion.testing import Recording
from conformance import expected, traffic
from conformance.recorded_format import RecordedAsCall
from conformance.replay import Replay

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

Body = dict[str, Any]

BODIES = [recording for recording in traffic.recorded(traffic.OPENAI) if traffic.request_of(recording).get("model")]


# --- the call ---------------------------------------------------------------------------------------------------------


def call_of(recording: Recording) -> dict[str, Any]:
    """The keyword arguments for a recorded body; members that OpenAI does not have become `extra_body`."""
    body = {name: value for name, value in traffic.request_of(recording).items() if name != "stream"}
    known = {"messages", *PARAM_NAMES}
    model = f"{traffic.row_of(recording).name}/{body.pop('model')}"
    extra = {name: value for name, value in body.items() if name not in known}
    call = {"messages": "Hello", **{name: value for name, value in body.items() if name in known}}
    return {"model": model, "extra_body": extra, **call}


async def drain(stream: CompletionStream) -> None:
    """Reads a stream to its end, so that its connection can be used again."""
    async for _ in stream:
        pass


async def send(replay: Replay, recording: Recording, call: dict[str, Any], *, lazily: bool = False) -> None:
    """Makes a call with `stream` or `create`, and ignores the reply."""
    replay.server.segmentation = None
    stream = bool(traffic.request_of(recording).get("stream", recording.streaming))
    call = {"base_url": replay.server.base_url(recording), "api_key": "key", **call}
    try:
        answer = replay.client.stream(**call) if lazily else await replay.client.create(**call, stream=stream)
        if isinstance(answer, CompletionStream):
            await drain(answer)
    except APIError:
        assert traffic.is_error(recording) or recording in traffic.cut_streams(*traffic.FORMATS)


async def sent(replay: Replay, recording: Recording, *, lazily: bool = False) -> Any:
    """The body that the client sends for the recorded request."""
    seen = len(replay.server.requests)
    await send(replay, recording, call_of(recording), lazily=lazily)
    (request,) = replay.server.requests[seen:]
    return request.body


# --- expected bodies --------------------------------------------------------------------------------------------------


UNSENT = (("stream", False), ("tools", []), ("functions", []))


def without_nulls(message: Body) -> Body:
    """A message without its nulls and those of its parts; a null content means that there is no text."""
    parts = message.get("content")
    content = [{k: v for k, v in part.items() if v is not None} for part in parts] if isinstance(parts, list) else parts
    kept = {name: value for name, value in message.items() if value is not None or name == "content"}
    return {**kept, "content": content} if "content" in kept else kept


def declared(recording: Recording) -> Body:
    """The expected body: the recorded one with the declared defaults.

    A null asks for nothing and is not sent, and neither are a false `stream`, an empty list of tools, and the options
    of streams without a stream.
    """
    body = {
        name: value
        for name, value in traffic.request_of(recording).items()
        if (value is not None or name not in PARAM_NAMES) and (name, value) not in UNSENT
    }
    if "messages" in body:
        body["messages"] = [without_nulls(message) for message in body["messages"]]
    if not body.get("stream"):
        body.pop("stream_options", None)
    quirks = traffic.row_of(recording).quirks
    if quirks.empty_reasoning:
        calling = [message for message in body.get("messages", ()) if message.get("tool_calls")]
        for message in calling:
            message.setdefault(quirks.reasoning, "")
    if body.get("stream") and quirks.include_usage and quirks.stream_options:
        body = {**STREAM_DEFAULTS, **body}
    if body.get("tools"):
        body["tools"] = [{"type": "function", **tool} if "function" in tool else tool for tool in body["tools"]]
    return body


# --- tests ------------------------------------------------------------------------------------------------------------


SENT = [recording for recording in BODIES if recording.id not in expected.REFUSED]


@pytest.mark.parametrize("recording", traffic.each(SENT))
async def test_a_recorded_body_is_sent_unchanged(replay: Replay, recording: Recording) -> None:
    """The provider would receive another request than the caller's."""
    assert await sent(replay, recording) == declared(recording)


@pytest.mark.parametrize("recording", traffic.each(r for r in BODIES if r.id in expected.REFUSED))
async def test_what_the_provider_refused_is_refused_before_sending(replay: Replay, recording: Recording) -> None:
    """A request that was recorded to be refused would be sent to the provider."""
    assert recording.status >= 400
    seen = len(replay.server.requests)
    with pytest.raises(InvalidRequestError) as caught:
        await send(replay, recording, call_of(recording))
    assert caught.value.param == expected.REFUSED[recording.id]
    assert len(replay.server.requests) == seen


@pytest.mark.parametrize("recording", traffic.each(r for r in SENT if traffic.is_stream(r)))
async def test_stream_sends_what_create_sends(replay: Replay, recording: Recording) -> None:
    """The two methods for streams would send different requests."""
    assert await sent(replay, recording, lazily=True) == declared(recording)


def other_requests() -> dict[str, RecordedAsCall]:
    """Id → the recorded request of another format than OpenAI's, as a call."""
    found: dict[str, RecordedAsCall] = {}
    for name, format_ in traffic.ALL_FORMATS.items():
        for recording in traffic.recorded(name) if format_.as_call is not None else ():
            turned_back = format_.as_call(recording) if traffic.request_of(recording) else None
            if turned_back is not None:
                found[recording.id] = turned_back
    return found


OTHERS = other_requests()


@pytest.mark.parametrize("recording", traffic.each(r for r in traffic.recorded(*traffic.FORMATS) if r.id in OTHERS))
async def test_a_recorded_request_of_another_format_is_sent_unchanged(replay: Replay, recording: Recording) -> None:
    """What a provider accepts could not be asked for in OpenAI's format, or would arrive changed."""
    call, body = OTHERS[recording.id]
    model = traffic.request_of(recording).get("model") or "any"
    seen = len(replay.server.requests)
    await send(replay, recording, {"model": f"{traffic.row_of(recording).name}/{model}", **call})
    (request,) = replay.server.requests[seen:]
    assert request.body == body


@pytest.mark.parametrize("recording", traffic.each(r for r in BODIES if r.provider == "azure"))
async def test_azure_requests_use_the_recorded_url(replay: Replay, recording: Recording) -> None:
    """Azure's URLs, which contain the deployment and the API version, would be wrong."""
    assert recording.request is not None
    url = urlsplit(recording.request.url)
    head, _, rest = url.path.removesuffix("/chat/completions").partition("/openai/deployments/")
    call = {
        **call_of(recording),
        "base_url": replay.server.base_url(recording) + head,
        "api_version": dict(parse_qsl(url.query)).get("api-version"),
        **({"model": f"azure/{unquote(rest)}"} if rest else {}),
    }
    await send(replay, recording, call)
    request = replay.server.requests[-1]
    assert request.path == f"/{recording.id}{url.path}"
    assert request.query == dict(parse_qsl(url.query))


def in_a_project(recording: Recording) -> bool:
    """Whether the recorded request's URL has the project of Google Cloud and the model."""
    return recording.request is not None and "/projects/" in recording.request.url


@pytest.mark.parametrize("recording", traffic.each(filter(in_a_project, traffic.recorded(*traffic.FORMATS))))
async def test_vertex_ai_requests_use_the_recorded_url(replay: Replay, recording: Recording) -> None:
    """Vertex AI's URLs, which contain the project, the publisher, the model and the method, would be wrong."""
    assert recording.request is not None
    # A cassette's name of a project is in angle brackets, which no URL contains as they are.
    path = urlsplit(recording.request.url).path.translate({ord("<"): None, ord(">"): None})
    project, _, resource = path.partition("/publishers/")
    call = {
        "model": f"{traffic.row_of(recording).name}/{resource.rpartition('/')[2].rpartition(':')[0]}",
        "messages": "Hello",
        "base_url": replay.server.base_url(recording) + project,
    }
    replay.server.segmentation = None
    seen = len(replay.server.requests)
    try:
        answer = await replay.client.create(**call, api_key="key", stream=recording.streaming)
        if isinstance(answer, CompletionStream):
            await drain(answer)
    except APIError:
        pass  # the URL is compared, whatever was recorded for it
    assert replay.server.requests[seen].path == f"/{recording.id}{path}"


def uses_base_url(recording: Recording) -> bool:
    """Whether the recorded request used the row's base URL; some servers have several."""
    row = traffic.row_of(recording)
    url = recording.request.url if recording.request is not None else ""
    return bool(row.base_url) and url == row.base_url + (row.path or "/chat/completions")


@pytest.mark.parametrize("recording", traffic.each(filter(uses_base_url, BODIES)))
async def test_requests_use_the_recorded_url(replay: Replay, recording: Recording) -> None:
    """The provider would answer 404."""
    assert recording.request is not None
    base_url = urlsplit(traffic.row_of(recording).base_url).path
    call = {"model": f"{traffic.row_of(recording).name}/any", "messages": "Hello"}
    await send(replay, recording, {**call, "base_url": replay.server.base_url(recording) + base_url})
    assert replay.server.requests[-1].path == f"/{recording.id}{urlsplit(recording.request.url).path}"


@pytest.mark.skipif(not traffic.is_reference_folder(), reason="not the folder that the expectations come from")
async def test_base_urls_are_the_recorded_ones() -> None:
    """A changed base URL of a row would not be noticed."""
    base_url = {recording.provider for recording in filter(uses_base_url, BODIES)}
    assert {recording.provider for recording in BODIES} - base_url == expected.OTHER_URLS
