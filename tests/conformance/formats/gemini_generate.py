"""Gemini's generateContent, of the Gemini API and of Vertex AI, with Google's SDK as the oracle."""

import functools
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from anycompletion.testing import Recording
from conformance import gemini_facts
from conformance.bodies import is_stream, json_objects
from conformance.comparing import Facts
from conformance.gemini_requests import as_call
from conformance.recorded_format import RecordedFormat, SDKError, has_error, module


def _ends(data: Mapping[str, Any]) -> Sequence[int]:
    candidates = data.get("candidates") or ()
    blocked = not candidates and bool((data.get("promptFeedback") or {}).get("blockReason"))
    return [0] if blocked else [each.get("index") or 0 for each in candidates if each.get("finishReason")]


def _has_content(data: Mapping[str, Any]) -> bool:
    return any(
        each.get("finishReason") or (each.get("content") or {}).get("parts") for each in data.get("candidates") or ()
    )


def _is_error(data: Mapping[str, Any]) -> bool:
    return has_error(data) or gemini_facts.failure_in(data) is not None


@functools.cache
def _client() -> Any:
    """The SDK's client, whose creation takes longer than a call; it keeps no connections open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a class that the SDK derives from aiohttp's
        genai, types, httpx = module("google.genai"), module("google.genai.types"), module("httpx")
        http = httpx.AsyncClient(verify=False, limits=httpx.Limits(max_keepalive_connections=0))
        options = types.HttpOptions(api_version="v1beta", httpx_async_client=http)
        return genai.Client(api_key="key", http_options=options)


def _plain(response: Any) -> Facts:
    """A response of the SDK as Google's JSON."""
    found: Facts = response.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found


def _item(item: Facts) -> Facts:
    """An item of an array, by the SDK's own type, which reads names of enumerations and no numbers."""
    candidates = [
        {
            "content": each.get("content"),
            "finishReason": gemini_facts.NUMBERS.get(each.get("finishReason"), each.get("finishReason")),
        }
        for each in item["candidates"]
    ]
    counts = {name: count for name, count in item["usageMetadata"].items() if name.endswith("Count")}
    whole = {name: item[name] for name in ("responseId", "modelVersion") if name in item}
    whole |= {"candidates": candidates, "usageMetadata": counts}
    return _plain(module("google.genai.types").GenerateContentResponse.model_validate(whole))


async def _facts(url: str, recording: Recording) -> Facts:
    failed = next((found for data in json_objects(recording) if (found := gemini_facts.failure_in(data))), None)
    if failed is not None:  # the SDK reads a failed generation as a reply
        raise SDKError(gemini_facts.of_failure(failed))
    models, types = _client().aio.models, module("google.genai.types")
    is_array = recording.framing == "json-array"
    if is_array or b'"finishReason": 1' in recording.body:  # the SDK asks for events, and for names of enumerations
        whole = json.loads(recording.body)
        return gemini_facts.of_responses(map(_item, whole if isinstance(whole, list) else [whole]))
    options = types.HttpOptions(base_url=url, timeout=10_000)
    ask = {"model": "any", "contents": "Hello", "config": types.GenerateContentConfig(http_options=options)}
    try:
        if not is_stream(recording):
            return gemini_facts.of_responses([_plain(await models.generate_content(**ask))])
        events = [_plain(event) async for event in await models.generate_content_stream(**ask)]
    except module("google.genai.errors").APIError as error:
        raise SDKError(gemini_facts.of_error(error)) from None
    return gemini_facts.of_responses(events)


FORMAT = RecordedFormat(
    apis=("generateContent", "streamGenerateContent"),
    recorded=138,
    row="gemini",
    ends=_ends,
    has_content=_has_content,
    is_error=_is_error,
    of_ours=gemini_facts.of_ours,
    by_rule=gemini_facts.by_rule,
    oracle=_facts,
    as_call=as_call,
)
