"""Every recorded request body, given to the client as a caller would: it must leave as it was recorded.

What a compatible server does not know is said to it otherwise, as its row declares; `declared` applies that by hand.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from anycompletion import PROVIDERS, APIError, CompletionStream, InvalidRequestError
from anycompletion.dialects.openai_chat import DEFAULTS
from anycompletion.records import PARAM_NAMES
from anycompletion.testing import Recording
from conformance import expected, traffic
from conformance.replay import Replay

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

Body = dict[str, Any]

BODIES = [recording for recording in traffic.recorded(traffic.OPENAI) if traffic.request_of(recording).get("model")]


# --- the call -----------------------------------------------------------------------------------------------------


def call_of(recording: Recording, own: tuple[str, ...] = ()) -> dict[str, Any]:
    """The keyword arguments that say a recorded body; what OpenAI does not have goes into `extra_body`."""
    body = {name: value for name, value in traffic.request_of(recording).items() if name != "stream"}
    known = {"messages", *PARAM_NAMES} - {*own}
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
    """The body that arrives when the recorded request is made through the client; None for one it does not send."""
    seen = len(replay.server.requests)
    refused: str | None = None
    try:
        await send(replay, recording, call_of(recording), lazily=lazily)
    except InvalidRequestError as error:
        refused = error.param or ""
    if traffic.is_known():
        assert expected.OWN_FORMS.get(recording.id) == refused
    if refused is not None:
        # The server's own form, and not OpenAI's: that goes through extra_body, messages apart.
        assert replay.server.requests[seen:] == []
        own = refused.partition(".")[0].partition("[")[0]
        if own == "messages":
            return None
        await send(replay, recording, call_of(recording, (own,)), lazily=lazily)
    (request,) = replay.server.requests[seen:]
    return request.body


# --- what has to arrive -------------------------------------------------------------------------------------------


def declared(recording: Recording, *, stream: bool) -> Body:
    """The body that has to arrive: as it was recorded, apart from defaults and from what the row declares."""
    body = {name: value for name, value in recorded(recording).items() if name != "stream"}
    if stream:
        body = {**DEFAULTS, **body, "stream": True}
    for change in CHANGES.values():
        body = change(body, recording)
    return body


def recorded(recording: Recording) -> Body:
    """The recorded body; a null of OpenAI's asks for nothing, and is not sent."""
    body = traffic.request_of(recording)
    return {name: value for name, value in body.items() if value is not None or name not in PARAM_NAMES}


def _one_answer(body: Body, recording: Recording) -> Body:
    cell = PROVIDERS[recording.provider].table.get("n")
    fanned_out = cell is not None and cell.support == "fanned_out"
    return {name: value for name, value in body.items() if (name, value) != ("n", 1) or not fanned_out}


def _functions(body: Body, recording: Recording) -> Body:
    if not PROVIDERS[recording.provider].quirks.functions_as_tools or "functions" not in body:
        return body
    tools = [{"type": "function", "function": function} for function in body.pop("functions")]
    choice = body.pop("function_call", None)
    named = {"type": "function", "function": choice} if isinstance(choice, dict) else choice
    return {**body, "tools": tools, **({} if choice is None else {"tool_choice": named})}


def _system(body: Body, recording: Recording) -> Body:
    if PROVIDERS[recording.provider].quirks.developer_role:
        return body
    messages = [
        {**message, "role": "system"} if message["role"] == "developer" else message for message in body["messages"]
    ]
    return {**body, "messages": messages}


def _limit(body: Body, recording: Recording) -> Body:
    if not PROVIDERS[recording.provider].quirks.only_max_tokens or "max_completion_tokens" not in body:
        return body
    limit = body.pop("max_completion_tokens")
    return {**body, "max_tokens": limit}


def _renamed(body: Body, recording: Recording) -> Body:
    names = PROVIDERS[recording.provider].quirks.renames
    return {names.get(name, name): value for name, value in body.items()}


def _usage(body: Body, recording: Recording) -> Body:
    quirks = PROVIDERS[recording.provider].quirks
    asked = "stream_options" in traffic.request_of(recording) and quirks.stream_options
    if asked or (quirks.include_usage and quirks.stream_options):
        return body
    return {name: value for name, value in body.items() if name != "stream_options"}


def _reasoning(body: Body, recording: Recording) -> Body:
    return {**body, "messages": [_reasoned(message, recording) for message in body["messages"]]}


def _reasoned(message: Body, recording: Recording) -> Body:
    quirks = PROVIDERS[recording.provider].quirks
    said = dict(message)
    reasoning = said.pop("reasoning_content", None)
    if reasoning is not None and quirks.reasoning is not None:
        said[quirks.reasoning] = reasoning
    if not quirks.reasoning_details:
        said.pop("reasoning_details", None)
    return said if message["role"] == "assistant" else message


def _refused_defaults(body: Body, recording: Recording) -> Body:
    """A value that asks for nothing is not sent where the parameter is unknown."""
    table = PROVIDERS[recording.provider].table
    refused = {name for name, cell in table.items() if cell.support == "refused"}
    neutral = {name: expected.ASKS_FOR_NOTHING[name] for name in refused & expected.ASKS_FOR_NOTHING.keys()}
    return {name: value for name, value in body.items() if name not in neutral or value != neutral[name]}


def _typed_tools(body: Body, recording: Recording) -> Body:
    """A tool without a type is a function: it has one."""
    if "tools" not in body:
        return body
    tools = [{"type": "function", **tool} if "function" in tool else tool for tool in body["tools"]]
    return {**body, "tools": tools}


CHANGES: dict[str, Callable[[Body, Recording], Body]] = {
    "n=1 left out": _one_answer,
    "functions as tools": _functions,
    "developer as system": _system,
    "max_tokens": _limit,
    "renamed": _renamed,
    "no stream_options": _usage,
    "reasoning": _reasoning,
    "refused defaults left out": _refused_defaults,
    "tools have a type": _typed_tools,
}


def changes(recording: Recording) -> set[str]:
    """What of a recorded body is said otherwise; defaults apart."""
    body = recorded(recording)
    if body.get("stream"):
        body = {**DEFAULTS, **body}
    return {name for name, change in CHANGES.items() if change(dict(body), recording) != body}


# --- tests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", traffic.each(BODIES))
async def test_a_recorded_body_arrives_as_it_was_recorded(replay: Replay, recording: Recording) -> None:
    """The provider would be asked something else than what the caller wrote."""
    stream = bool(traffic.request_of(recording).get("stream"))
    assert await sent(replay, recording) in (None, declared(recording, stream=stream))


@pytest.mark.parametrize("recording", traffic.each(r for r in BODIES if traffic.is_stream(r)))
async def test_stream_sends_what_create_sends(replay: Replay, recording: Recording) -> None:
    """The two ways to ask for a stream would ask for different ones."""
    assert await sent(replay, recording, lazily=True) in (None, declared(recording, stream=True))


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
async def test_no_change_is_expected_in_vain() -> None:
    """A row that says otherwise than before where and how its server is asked would go unnoticed."""
    found = {recording.provider: set[str]() for recording in BODIES}
    for recording in BODIES:
        found[recording.provider] |= changes(recording)
    assert {provider: names for provider, names in found.items() if names} == expected.BODIES_CHANGED
    assert {recording.id for recording in BODIES} >= expected.OWN_FORMS.keys()
    assert found.keys() - {recording.provider for recording in filter(at_home, BODIES)} == expected.NEVER_AT_HOME
