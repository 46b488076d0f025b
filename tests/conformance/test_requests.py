"""Every recorded request body, passed to the client as a call's arguments, is sent as it was recorded.

Only declared defaults are added: `STREAM_DEFAULTS` for streams, `TOOL_DEFAULTS` for tools.
"""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from anycompletion import APIError, CompletionStream
from anycompletion.dialects.openai_chat.params import STREAM_DEFAULTS, TOOL_DEFAULTS
from anycompletion.records import PARAM_NAMES
from anycompletion.testing import Recording
from conformance import expected, traffic
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
    stream = bool(traffic.request_of(recording).get("stream"))
    call = {"base_url": replay.server.base_url(recording), "api_key": "key", **call}
    try:
        answer = replay.client.stream(**call) if lazily else await replay.client.create(**call, stream=stream)
        if isinstance(answer, CompletionStream):
            await drain(answer)
    except APIError:
        assert traffic.is_error(recording) or recording in traffic.cut_streams(traffic.OPENAI)


async def sent(replay: Replay, recording: Recording, *, lazily: bool = False) -> Any:
    """The body that the client sends for the recorded request."""
    seen = len(replay.server.requests)
    await send(replay, recording, call_of(recording), lazily=lazily)
    (request,) = replay.server.requests[seen:]
    return request.body


# --- expected bodies --------------------------------------------------------------------------------------------------


def declared(recording: Recording) -> Body:
    """The expected body: the recorded one with the declared defaults.

    A null asks for nothing and is not sent, and neither is a false `stream`.
    """
    body = {
        name: value
        for name, value in traffic.request_of(recording).items()
        if (value is not None or name not in PARAM_NAMES) and (name, value) != ("stream", False)
    }
    quirks = traffic.row_of(recording).quirks
    if body.get("stream") and quirks.include_usage and quirks.stream_options:
        body = {**STREAM_DEFAULTS, **body}
    if body.get("tools"):
        body["tools"] = [{**TOOL_DEFAULTS, **tool} if "function" in tool else tool for tool in body["tools"]]
    return body


# --- tests ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", traffic.each(BODIES))
async def test_a_recorded_body_is_sent_unchanged(replay: Replay, recording: Recording) -> None:
    """The provider would receive another request than the caller's."""
    assert await sent(replay, recording) == declared(recording)


@pytest.mark.parametrize("recording", traffic.each(r for r in BODIES if traffic.is_stream(r)))
async def test_stream_sends_what_create_sends(replay: Replay, recording: Recording) -> None:
    """The two methods for streams would send different requests."""
    assert await sent(replay, recording, lazily=True) == declared(recording)


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


def uses_base_url(recording: Recording) -> bool:
    """Whether the recorded request used the row's base URL; some servers have several."""
    base_url = traffic.row_of(recording).base_url
    url = recording.request.url if recording.request is not None else ""
    return bool(base_url) and url in (f"{base_url}/chat/completions", f"{base_url}/chat")


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
