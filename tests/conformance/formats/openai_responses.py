"""OpenAI's responses, with its SDK as the oracle."""

from collections.abc import Mapping
from typing import Any

import openai

from anycompletion.testing import Recording
from conformance import openai_facts, responses_facts, responses_requests
from conformance.bodies import is_stream, json_objects
from conformance.comparing import Facts, plain
from conformance.recorded_format import RecordedFormat

RUNNING = ("queued", "in_progress")
"""Statuses of a response that has not ended."""


def is_running(recording: Recording) -> bool:
    """Whether a whole body is a response that has not ended."""
    return not is_stream(recording) and any(data.get("status") in RUNNING for data in json_objects(recording))


def _has_ended(data: Mapping[str, Any]) -> bool:
    return data.get("type") in ("response.completed", "response.incomplete", "response.failed")


async def _facts(url: str, recording: Recording) -> Facts:
    async with openai.AsyncOpenAI(api_key="key", base_url=url, max_retries=0) as client:
        if not is_stream(recording):
            return responses_facts.of_reply(plain(await client.responses.create(model="any", input="Hello")))
        events = await client.responses.create(model="any", input="Hello", stream=True)
        return responses_facts.of_reply(responses_facts.assembled([plain(event) async for event in events]))


FORMAT = RecordedFormat(
    apis=("responses",),
    takes=lambda recording: not is_running(recording),
    recorded=145,
    row="openai",
    ends=lambda data: [0] if _has_ended(data) else [],
    has_content=_has_ended,
    of_ours=responses_facts.of_ours,
    oracle=_facts,
    as_call=responses_requests.as_call,
    by_rule=openai_facts.by_rule,
)
