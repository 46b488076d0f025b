"""Every recorded request body, given to the client as a caller would: it must leave as it was recorded.

All that is added is what the format declares: `DEFAULTS` on streams, `TOOL_DEFAULTS` on tools.
"""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from anycompletion import PROVIDERS, APIError, CompletionStream
from anycompletion.dialects.openai_chat.params import DEFAULTS, TOOL_DEFAULTS
from anycompletion.records import PARAM_NAMES
from anycompletion.testing import Recording
from conformance import expected, traffic
from conformance.replay import Replay

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

Body = dict[str, Any]

BODIES = [recording for recording in traffic.recorded(traffic.OPENAI) if traffic.request_of(recording).get("model")]


# --- the call -----------------------------------------------------------------------------------------------------


def call_of(recording: Recording) -> dict[str, Any]:
    """The keyword arguments that say a recorded body; what OpenAI does not have goes into `extra_body`."""
    body = {name: value for name, value in traffic.request_of(recording).items() if name != "stream"}
    known = {"messages", *PARAM_NAMES}
    model = f"{recording.provider}/{body.pop('model')}"
    extra = {name: value for name, value in body.items() if name not in known}
    call = {"messages": "Hello", **{name: value for name, value in body.items() if name in known}}
    return {"model": model, "extra_body": extra, **call}


async def drain(stream: CompletionStream) -> None:
    """Reads a stream to its end, so that its connection can be used again."""
    async for _ in stream:
        pass


async def send(replay: Replay, recording: Recording, call: dict[str, Any], *, lazily: bool = False) -> None:
    """Makes a call, by `stream` or by `create`; what is answered does not matter here."""
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
    """The body that arrives when the recorded request is made through the client."""
    seen = len(replay.server.requests)
    await send(replay, recording, call_of(recording), lazily=lazily)
    (request,) = replay.server.requests[seen:]
    return request.body


# --- what has to arrive -------------------------------------------------------------------------------------------


def declared(recording: Recording) -> Body:
    """The body that has to arrive: as it was recorded, and the declared defaults.

    A null of OpenAI's asks for nothing, and is not sent; a false `stream` is not sent either.
    """
    body = {
        name: value
        for name, value in traffic.request_of(recording).items()
        if (value is not None or name not in PARAM_NAMES) and (name, value) != ("stream", False)
    }
    quirks = PROVIDERS[recording.provider].quirks
    if body.get("stream") and quirks.include_usage and quirks.stream_options:
        body = {**DEFAULTS, **body}
    if body.get("tools"):
        body["tools"] = [{**TOOL_DEFAULTS, **tool} if "function" in tool else tool for tool in body["tools"]]
    return body


# --- tests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", traffic.each(BODIES))
async def test_a_recorded_body_arrives_as_it_was_recorded(replay: Replay, recording: Recording) -> None:
    """The provider would be asked something else than what the caller wrote."""
    assert await sent(replay, recording) == declared(recording)


@pytest.mark.parametrize("recording", traffic.each(r for r in BODIES if traffic.is_stream(r)))
async def test_stream_sends_what_create_sends(replay: Replay, recording: Recording) -> None:
    """The two ways to ask for a stream would ask for different ones."""
    assert await sent(replay, recording, lazily=True) == declared(recording)


@pytest.mark.parametrize("recording", traffic.each(r for r in BODIES if r.provider == "azure"))
async def test_azure_is_asked_at_the_recorded_address(replay: Replay, recording: Recording) -> None:
    """The deployment would not be found: Azure's addresses hold its name and the version of the API."""
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


def at_home(recording: Recording) -> bool:
    """True where the recorded request went to the base URL that the row has; some servers have several."""
    home = PROVIDERS[recording.provider].base_url
    url = recording.request.url if recording.request is not None else ""
    return bool(home) and url in (f"{home}/chat/completions", f"{home}/chat")


@pytest.mark.parametrize("recording", traffic.each(filter(at_home, BODIES)))
async def test_a_provider_is_asked_at_the_recorded_address(replay: Replay, recording: Recording) -> None:
    """The provider would answer that there is nothing at this address."""
    assert recording.request is not None
    home = urlsplit(PROVIDERS[recording.provider].base_url).path
    call = {"model": f"{recording.provider}/any", "messages": "Hello"}
    await send(replay, recording, {**call, "base_url": replay.server.base_url(recording) + home})
    assert replay.server.requests[-1].path == f"/{recording.id}{urlsplit(recording.request.url).path}"


@pytest.mark.skipif(not traffic.is_known(), reason="not the folder that the expectations were taken from")
async def test_providers_are_asked_at_home() -> None:
    """A row that says otherwise than before where its server is asked would go unnoticed."""
    home = {recording.provider for recording in filter(at_home, BODIES)}
    assert {recording.provider for recording in BODIES} - home == expected.NEVER_AT_HOME
