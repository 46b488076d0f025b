"""Recorded replies of compatible providers, read by this package and by the provider's own SDK."""

from collections.abc import Awaitable
from typing import Any

import pytest

from anycompletion import APIError
from anycompletion.testing import Recording
from conformance import openai_facts, provider_sdks, traffic
from conformance.comparing import Facts, differences
from conformance.expected import PROVIDER_SDKS
from conformance.replay import Replay

pytestmark = [
    pytest.mark.traffic,
    pytest.mark.asyncio(loop_scope="session"),
    # Connections that an SDK leaves open, and fields that its models do not declare, are no concern of these tests.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:Pydantic serializer warnings"),
]

RECORDINGS = [recording for recording in traffic.recorded(traffic.OPENAI) if recording.provider in provider_sdks.SDKS]


async def read(reading: Awaitable[Any]) -> Any:
    """The reply, or the exception of its reader."""
    try:
        return await reading
    except Exception as error:  # noqa: BLE001 (every SDK has its own classes)
        return error


def compared(recording: Recording, ours: Any, theirs: Any) -> Facts:
    """Path → both values, wherever the readings differ."""
    if isinstance(ours, Exception) and isinstance(theirs, Exception):
        assert isinstance(ours, APIError)
        status = provider_sdks.status_of(theirs)
        same = status is None or status < 400 or status == ours.status_code
        return {} if same else {"status_code": (ours.status_code, status)}
    if isinstance(ours, Exception) or isinstance(theirs, Exception):
        return {"error": (shown(ours), shown(theirs))}
    found = differences(ours.to_dict(), theirs)
    if recording.provider in provider_sdks.DECLARED_ONLY:
        found = {path: pair for path, pair in found.items() if pair[1] is not None}
    return openai_facts.by_rule(found)


def shown(reading: Any) -> str:
    """A reading in a few words."""
    return f"{type(reading).__name__}: {reading}"[:300] if isinstance(reading, Exception) else "a reply"


@pytest.mark.parametrize("recording", traffic.each(RECORDINGS))
async def test_a_recording_is_read_as_by_the_providers_sdk(replay: Replay, recording: Recording) -> None:
    """A value that the provider's own SDK reads would be lost or changed, or an error be taken for a reply."""
    replay.server.segmentation = None
    ours = await read(replay.complete(recording))
    theirs = await read(provider_sdks.facts_of(recording, replay.server.base_url(recording)))
    found = compared(recording, ours, theirs)
    facts = PROVIDER_SDKS.get(recording.id, {})
    assert all(fact.wire in recording.body for fact in facts.values()), "the wire fact is not on the wire"
    assert {path: pair for path, pair in found.items() if path not in facts} == {}
    assert facts.keys() <= found.keys(), "agrees now"
