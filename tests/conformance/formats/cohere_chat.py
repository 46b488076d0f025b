"""Cohere's chat, version 2, with its SDK as the oracle."""

from collections.abc import Mapping
from typing import Any

from anycompletion.testing import Recording
from conformance import cohere_facts
from conformance.bodies import is_stream, json_objects
from conformance.comparing import Facts, plain
from conformance.recorded_format import RecordedFormat, SDKError, has_error, module


def _is_error(data: Mapping[str, Any]) -> bool:
    end = data.get("delta") if data.get("type") == "message-end" else data
    return has_error(data) or (
        isinstance(end, dict) and (end.get("finish_reason") in ("ERROR", "TIMEOUT") or bool(end.get("error")))
    )


async def _facts(url: str, recording: Recording) -> Facts:
    failed = next(filter(_is_error, json_objects(recording)), None)
    if failed is not None and recording.status < 400:  # the SDK reads a failed generation as a reply
        raise SDKError(cohere_facts.of_error_object(failed, recording))
    ask: dict[str, Any] = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}
    async with module("cohere").AsyncClientV2("key", base_url=url, timeout=10, max_retries=0) as client:
        try:
            if not is_stream(recording):
                return cohere_facts.of_reply(plain(await client.chat(**ask)))
            events = [plain(event) async for event in client.chat_stream(**ask)]
        except module("cohere.core").ApiError as error:
            raise SDKError(cohere_facts.of_error(error)) from None
        return cohere_facts.of_reply(cohere_facts.assembled(events))


FORMAT = RecordedFormat(
    apis=("v2/chat",),
    recorded=43,
    row="cohere",
    ends=lambda data: [0] if data.get("type") == "message-end" else [],
    has_content=lambda data: data.get("type") in ("content-delta", "message-end"),
    is_error=_is_error,
    of_ours=cohere_facts.of_ours,
    oracle=_facts,
)
