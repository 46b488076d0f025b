"""Every recorded request body, given to the client as a caller would: it must leave as it was recorded."""

from typing import Any

import pytest

from anycompletion import APIError, CompletionStream
from anycompletion.dialects.openai_chat import DEFAULTS
from anycompletion.records import PARAM_NAMES
from anycompletion.testing import Recording
from conformance import traffic
from conformance.replay import Replay

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

BODIES = [recording for recording in traffic.recorded("openai") if traffic.request_of(recording)]


def call_of(recording: Recording) -> dict[str, Any]:
    """The keyword arguments that say a recorded body; what OpenAI does not have goes into `extra_body`."""
    body = {name: value for name, value in traffic.request_of(recording).items() if name != "stream"}
    known = {"model", "messages", *PARAM_NAMES}
    extra = {name: value for name, value in body.items() if name not in known}
    return {name: value for name, value in body.items() if name in known} | {"extra_body": extra}


def wire_of(recording: Recording, *, stream: bool) -> dict[str, Any]:
    """The body that has to arrive."""
    body = {name: value for name, value in traffic.request_of(recording).items() if value is not None}
    body.pop("stream", None)
    return {**(DEFAULTS if stream else {}), **body, **({"stream": True} if stream else {})}


async def drain(stream: CompletionStream) -> None:
    """Reads a stream to its end, so that its connection can be used again."""
    async for _ in stream:
        pass


async def sent(replay: Replay, recording: Recording, *, lazily: bool) -> Any:
    """The body that arrives when the recorded request is made through the client, by `stream` or by `create`."""
    where = {"base_url": replay.server.base_url(recording), "api_key": "key", "provider": "openai"}
    replay.server.segmentation = None
    seen = len(replay.server.requests)
    try:
        if lazily:
            await drain(replay.client.stream(**call_of(recording), **where))
        else:
            stream = bool(traffic.request_of(recording).get("stream"))
            answer = await replay.client.create(**call_of(recording), **where, stream=stream)
            if isinstance(answer, CompletionStream):
                await drain(answer)
    except APIError:
        assert traffic.is_error(recording)
    (request,) = replay.server.requests[seen:]
    return request.body


@pytest.mark.parametrize("recording", traffic.each(BODIES))
async def test_a_recorded_body_arrives_as_it_was_recorded(replay: Replay, recording: Recording) -> None:
    """The provider would be asked something else than what the caller wrote."""
    body = traffic.request_of(recording)
    assert await sent(replay, recording, lazily=False) == wire_of(recording, stream=bool(body.get("stream")))


@pytest.mark.parametrize("recording", traffic.each(r for r in BODIES if r.streaming))
async def test_stream_sends_what_create_sends(replay: Replay, recording: Recording) -> None:
    """The two ways to ask for a stream would ask for different ones."""
    assert await sent(replay, recording, lazily=True) == wire_of(recording, stream=True)
