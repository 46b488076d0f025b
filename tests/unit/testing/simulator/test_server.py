"""Tests of the simulator as a server: start and stop, log, timing and faults, with a plain HTTP client."""

import asyncio
import io
import json
import subprocess
import sys
import time
from typing import Any

import aiohttp
import pytest

from anycompletion.testing import FAULTS, Fault, SimulatorServer

PROVIDERS = ("openai", "anthropic")
PATHS = {"openai": "/chat/completions", "anthropic": "/v1/messages"}
KNOCK: dict[str, Any] = {"model": "some-model", "messages": [{"role": "user", "content": "Knock knock."}]}


def ask(
    http: aiohttp.ClientSession, sim: SimulatorServer, provider: str = "openai", *, fault: str = "", **body: Any
) -> "aiohttp.client._RequestContextManager":
    """One request in the provider's format with a valid key."""
    key = sim.api_keys[provider]
    headers = {"authorization": f"Bearer {key}"} if provider == "openai" else {"x-api-key": key}
    if provider == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
        body = {"max_tokens": 1000, **body}
    if fault:
        headers["x-simulate"] = fault
    return http.post(sim.base_urls[provider] + PATHS[provider], json={**KNOCK, **body}, headers=headers)


def events(body: bytes) -> list[str]:
    """The data of the events in a stream."""
    return [line.removeprefix("data: ") for line in body.decode().splitlines() if line.startswith("data: ")]


# --- start and stop -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.com", ""])
def test_listens_on_loopback_only(host: str) -> None:
    """A test server would be open to the network."""
    with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
        SimulatorServer(host=host)


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        (
            "reply",
            ["a", "b"],
            "reply must be a text or a function of the request, found list; FakeProvider takes several",
        ),
        ("reply", {"text": "a"}, "reply must be a text or a function of the request, found dict"),
        ("reply", 5, "found int"),
        ("fault", 5, "fault must be a name, a Fault or several of them, found int"),
    ],
)
async def test_rejects_options_of_other_types(option: str, value: Any, text: str) -> None:
    """Every request would get an internal error of the server, which looks like the provider's."""
    with pytest.raises(TypeError, match=text):
        SimulatorServer(**{option: value})
    server = SimulatorServer()
    with pytest.raises(TypeError, match=text):
        setattr(server, option, value)


@pytest.mark.parametrize("options", [{"port": -1}, {"latency": -1}, {"chunk_delay": -1}, {"chunks": 0}])
def test_rejects_numbers_out_of_range(options: dict[str, Any]) -> None:
    """A wrong option would fail later, far from where it was given."""
    with pytest.raises(ValueError, match=next(iter(options))):
        SimulatorServer(**options)


async def test_has_no_url_before_it_runs() -> None:
    """A forgotten `async with` would end in an unclear connection error."""
    with pytest.raises(RuntimeError, match="async with"):
        _ = SimulatorServer().base_urls


async def test_starts_only_once() -> None:
    """A second start would leak the first server."""
    async with SimulatorServer() as sim:
        with pytest.raises(RuntimeError, match="started before"):
            await sim.start()
    await sim.aclose()
    with pytest.raises(RuntimeError, match="started before"):
        await sim.start()


async def test_a_port_in_use_is_an_error_without_leaks() -> None:
    """A failed start would leak a half-open server."""
    async with SimulatorServer() as sim:
        with pytest.raises(OSError, match="address"):
            await SimulatorServer(port=int(sim.url.rpartition(":")[2])).start()


@pytest.mark.parametrize("fault", ["", "stall-after-2-events", "hang"])
async def test_stops_immediately_while_it_responds(http: aiohttp.ClientSession, fault: str) -> None:
    """Every test with an active stream would wait for it at its end, or leak a task."""
    before = asyncio.all_tasks()
    async with SimulatorServer(chunk_delay=30) as sim:
        waiting = asyncio.create_task(read(ask(http, sim, fault=fault, stream=True)))
        async with asyncio.timeout(2):
            while not sim.requests:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        start = time.perf_counter()
    assert time.perf_counter() - start < 1
    with pytest.raises(aiohttp.ClientError):
        await waiting
    assert asyncio.all_tasks() <= before
    assert not sim.requests[0].closed_by_client
    assert not sim.requests[0].finished


async def read(context: "aiohttp.client._RequestContextManager") -> bytes:
    """The whole body."""
    async with context as response:
        return await response.read()


def test_the_package_does_not_import_it() -> None:
    """Every user would import a server that only tests need."""
    code = "import sys, anycompletion; sys.exit('anycompletion.testing' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


# --- log ----------------------------------------------------------------------------------------------------------


async def test_the_log_has_the_request_as_it_was_sent(sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """Tests could not check what their code sends."""
    async with ask(http, sim, temperature=0.5) as response:
        await response.read()
    (request,) = sim.requests
    assert (request.provider, request.method, request.path) == ("openai", "POST", "/openai/v1/chat/completions")
    assert request.body == {**KNOCK, "temperature": 0.5}
    assert json.loads(request.raw) == request.body
    assert request.headers["authorization"] == f"Bearer {sim.api_keys['openai']}"
    assert await request.wait_closed() is False
    assert request.finished
    assert sim.api_keys["openai"] not in repr(request)


async def test_the_log_has_the_query_and_bodies_that_are_not_json(
    sim: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    """A malformed request would raise in the log."""
    async with http.post(sim.base_urls["openai"] + "/chat/completions?a=1", data=b"{nonsense") as response:
        assert response.status == 401
    assert sim.requests[0].query == {"a": "1"}
    assert sim.requests[0].body is None
    assert sim.requests[0].raw == b"{nonsense"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_notices_a_disconnect_between_two_chunks(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str
) -> None:
    """A client that leaves its connection open would pass."""
    sim.chunks, sim.chunk_delay = 200, 0.02
    async with ask(http, sim, provider, stream=True) as response:
        await response.content.readany()
        response.close()
    (request,) = sim.requests
    written = request.chunks_written
    assert await request.wait_closed(2) is True
    assert request.chunks_written < written + 10
    assert not request.finished


async def test_notices_a_disconnect_at_full_speed(sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """Without a delay the server would write to a closed connection."""
    sim.chunks = 20_000
    async with ask(http, sim, stream=True, messages=[{"role": "user", "content": "word " * 1000}]) as response:
        await response.content.readany()
        response.close()
    assert await sim.requests[0].wait_closed(5) is True
    assert sim.requests[0].chunks_written < 20_000


@pytest.mark.parametrize("fault", ["hang", "stall-after-1-events"])
@pytest.mark.parametrize("stream", [True, False])
async def test_notices_a_disconnect_while_it_sends_nothing(
    sim: SimulatorServer, http: aiohttp.ClientSession, fault: str, stream: bool
) -> None:
    """Timeouts of a client could not be tested, because the disconnect would go unnoticed."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), ask(http, sim, fault=fault, stream=stream) as response:
            await response.read()
    start = time.perf_counter()
    assert await sim.requests[0].wait_closed(2) is True
    assert time.perf_counter() - start < 1


async def test_waiting_for_a_close_times_out(sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """A failing test would hang instead of failing."""
    async with ask(http, sim, fault="stall-after-1-events", stream=True):
        assert await sim.requests[0].wait_closed(0.05) is False


# --- responses ----------------------------------------------------------------------------------------------------


async def test_the_error_for_an_unknown_path_lists_the_base_urls(
    sim: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    """A wrong base URL would be hard to correct."""
    async with http.get(sim.url + "/elsewhere") as response:
        assert response.status == 404
        assert sim.base_urls["openai"] in await response.text()
    assert sim.requests[0].provider == ""


async def test_text_and_pieces_are_options(http: aiohttp.ClientSession) -> None:
    """Tests could not choose the model's reply."""
    async with SimulatorServer(reply="Lettuce in, it's cold.", chunks=5) as sim:
        body = await read(ask(http, sim, stream=True))
        pieces = [json.loads(data)["choices"][0]["delta"].get("content") for data in events(body)[:-1]]
        assert len([piece for piece in pieces if piece]) == 5
        assert "".join(piece for piece in pieces if piece) == "Lettuce in, it's cold."
        sim.reply = lambda body: str(body["model"]).upper()
        assert json.loads(await read(ask(http, sim)))["choices"][0]["message"]["content"] == "SOME-MODEL"


async def test_a_short_text_is_repeated_to_fill_the_chunks(sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """A test that needs two hundred chunks would need a long text."""
    sim.chunks = 200
    assert len(events(await read(ask(http, sim, stream=True)))) == 200 + 3


async def test_waits_before_the_headers_and_between_chunks(http: aiohttp.ClientSession) -> None:
    """Timeouts of a client could not be tested."""
    async with SimulatorServer(latency=0.1, chunk_delay=0.02, chunks=5) as sim:
        start = time.perf_counter()
        async with ask(http, sim, stream=True) as response:
            first = time.perf_counter() - start
            await response.read()
        assert 0.09 < first < 1
        assert 0.1 < time.perf_counter() - start - first < 2


async def test_a_repeated_request_to_anthropic_gets_another_reply(
    sim: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    """The three requests for three choices would all get the same text."""
    bodies = await asyncio.gather(*(read(ask(http, sim, "anthropic")) for _ in range(3)))
    assert {json.loads(body)["content"][0]["text"] for body in bodies} == {
        f"Who's there? (choice {choice})" for choice in range(3)
    }


# --- faults -------------------------------------------------------------------------------------------------------

STATUS = {name: fault for name, fault in FAULTS.items() if fault.kind == "status"}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", STATUS)
async def test_every_provider_has_every_error(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str, name: str
) -> None:
    """A fault would work with one provider and raise a KeyError with another."""
    async with ask(http, sim, provider, fault=name) as response:
        assert response.status >= 400
        assert (await response.json())["error"]["message"]
        assert response.headers["x-request-id" if provider == "openai" else "request-id"]
        assert response.headers.get("retry-after") == ("0.05" if name == "rate-limit" else None)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_faults_of_a_list_are_a_sequence(http: aiohttp.ClientSession, provider: str) -> None:
    """A sequence of faults could not be simulated."""
    faults = [Fault.status(429, retry_after=0.5, times=2), Fault.named("unavailable", skip=1, times=1)]
    async with SimulatorServer(fault=faults) as sim:
        statuses: list[int] = []
        for _ in range(5):
            async with ask(http, sim, provider) as response:
                statuses.append(response.status)
        assert statuses == [429, 429, 200, 503, 200]
        sim.fault = "overloaded"
        async with ask(http, sim, provider) as response:
            assert response.status in (503, 529)


@pytest.mark.parametrize(("status", "kind"), [(418, "invalid_request_error"), (507, "server_error"), (429, "requests")])
async def test_any_status_can_be_simulated(
    sim: SimulatorServer, http: aiohttp.ClientSession, status: int, kind: str
) -> None:
    """Rare statuses could not be tested."""
    sim.fault = Fault.status(status)
    async with ask(http, sim) as response:
        assert response.status == status
        assert (await response.json())["error"]["type"] == kind


async def test_a_fault_can_be_limited_to_one_provider(http: aiohttp.ClientSession) -> None:
    """A fallback from a failing provider could not be tested with one server."""
    async with SimulatorServer(fault=Fault.named("overloaded", provider="anthropic")) as sim:
        async with ask(http, sim) as response:
            assert response.status == 200
        async with ask(http, sim, "anthropic") as response:
            assert response.status == 529


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_unknown_fault_is_a_bad_request(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str
) -> None:
    """A misspelt x-simulate would silently simulate nothing."""
    async with ask(http, sim, provider, fault="overlouded") as response:
        assert response.status == 400
        assert "'overloaded'" in (await response.json())["error"]["message"]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_cut_stream_ends_cleanly(sim: SimulatorServer, http: aiohttp.ClientSession, provider: str) -> None:
    """An incomplete stream in a complete HTTP body could not be tested."""
    body = await read(ask(http, sim, provider, fault="cut-after-3-events", stream=True))
    assert len(events(body)) == 3
    assert sim.requests[0].chunks_written == 3
    assert not sim.requests[0].finished


async def test_a_cut_after_the_end_of_a_stream_has_no_effect(sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """The log would report a complete response as incomplete."""
    body = await read(ask(http, sim, fault="cut-after-99-events", stream=True))
    assert events(body)[-1] == "[DONE]"
    assert sim.requests[0].finished


@pytest.mark.parametrize("stream", [True, False])
async def test_a_close_ends_the_connection_before_the_body(
    sim: SimulatorServer, http: aiohttp.ClientSession, stream: bool
) -> None:
    """A connection that is closed halfway would look like a complete body."""
    with pytest.raises(aiohttp.ClientPayloadError):
        await read(ask(http, sim, fault="close-after-3-events", stream=stream))
    assert await sim.requests[0].wait_closed(1) is False


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reset_resets_the_connection(sim: SimulatorServer, http: aiohttp.ClientSession, stream: bool) -> None:
    """A crash of the server would look like a clean end."""
    with pytest.raises(aiohttp.ClientError) as caught:
        await read(ask(http, sim, fault="reset-after-3-events", stream=stream))
    assert "reset by peer" in str(caught.value)
    assert await sim.requests[0].wait_closed(1) is False


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_error_inside_a_stream_is_the_providers_own(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str
) -> None:
    """Errors after a successful status could not be tested."""
    async with ask(http, sim, provider, fault="error-after-3-events", stream=True) as response:
        assert response.status == 200
        found = events(await response.read())
    assert len(found) == 4
    assert json.loads(found[-1])["error"]["message"]


ENDS = {
    ("openai", "no-finish-reason"): ("finish_reason", '"finish_reason":null'),
    ("openai", "no-done"): ("[DONE]", '"usage":{'),
    ("anthropic", "no-finish-reason"): ("message_delta", "content_block_stop"),
    ("anthropic", "no-done"): ("message_stop", "message_delta"),
}


@pytest.mark.parametrize(("provider", "fault"), ENDS)
async def test_the_end_of_a_stream_can_be_omitted(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str, fault: str
) -> None:
    """A client that takes a stream without a finish reason for a complete one would pass."""
    options = {"stream_options": {"include_usage": True}} if provider == "openai" else {}
    body = (await read(ask(http, sim, provider, fault=fault, stream=True, **options))).decode()
    absent, last = ENDS[provider, fault]
    assert last in events(body.encode())[-1]
    assert body.replace('"finish_reason":null', "").find(absent) == -1
    assert not sim.requests[0].finished


@pytest.mark.parametrize("fault", ["1-choice", "2-choices", "5-choices"])
async def test_the_number_of_choices_can_differ_from_the_request(
    sim: SimulatorServer, http: aiohttp.ClientSession, fault: str
) -> None:
    """A client could not be tested with a server that ignores `n`."""
    count = int(fault[0])
    whole = json.loads(await read(ask(http, sim, fault=fault, n=3)))
    assert [choice["index"] for choice in whole["choices"]] == list(range(count))
    streamed = await read(ask(http, sim, fault=fault, stream=True, n=3))
    found = [json.loads(each) for each in events(streamed)[:-1]]
    assert {choice["index"] for each in found for choice in each["choices"]} == set(range(count))
    assert all(request.finished for request in sim.requests)
    assert json.loads(await read(ask(http, sim, "anthropic", fault=fault)))["content"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_malformed_bodies_come_with_a_successful_status(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str, stream: bool
) -> None:
    """Malformed bodies could not be tested."""
    async with ask(http, sim, provider, fault="html", stream=stream) as response:
        assert (response.status, response.content_type) == (200, "text/html")
    assert await read(ask(http, sim, provider, fault="empty", stream=stream)) == b""
    async with ask(http, sim, provider, fault="malformed-json", stream=stream) as response:
        assert response.content_type == ("text/event-stream" if stream else "application/json")
        body = await response.read()
    if stream:
        (data,) = events(body)
        body = data.encode()
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


@pytest.mark.parametrize(("fault", "whole"), [("cut-after-3-events", False), ("no-done", True)])
async def test_a_response_without_events_is_cut_in_half_or_not_at_all(
    sim: SimulatorServer, http: aiohttp.ClientSession, fault: str, whole: bool
) -> None:
    """Stream faults would be undefined where there is no stream."""
    body = await read(ask(http, sim, fault=fault))
    if whole:
        assert json.loads(body)["choices"]
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)
    assert sim.requests[0].finished is whole


async def raw(sim: SimulatorServer, fault: Fault | str) -> bytes:
    """All bytes of the response to one request."""
    sim.fault = fault
    body = json.dumps(KNOCK).encode()
    head = f"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n"
    key = f"Authorization: Bearer {sim.api_keys['openai']}\r\nContent-Type: application/json\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sim.url.rpartition(":")[2]))
    writer.write((head + key).encode() + body)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


async def test_a_script_is_sent_unchanged(sim: SimulatorServer) -> None:
    """The HTTP library would correct it."""
    assert await raw(sim, Fault.raw(b"what", 0.01, b"ever")) == b"whatever"
    assert await raw(sim, "half-status-line") == b"HTTP/1.1 20"
    assert await raw(sim, "close-before-answer") == b""
    with pytest.raises(ConnectionResetError):
        await raw(sim, "reset-before-answer")
    assert [request.closed_by_client for request in sim.requests] == [False] * 4
    assert not any(request.finished for request in sim.requests)


async def test_a_script_can_contain_the_response_or_parts_of_it(sim: SimulatorServer) -> None:
    """A fault around a response would need the bytes of every format."""
    once = await raw(sim, Fault.raw("answer"))
    head, _, body = once.partition(b"\r\n\r\n")
    assert json.loads(body)["choices"][0]["message"]["content"].startswith("Who's there?")
    assert f"content-length: {len(body)}".encode() in head
    assert sim.requests[-1].finished
    assert (await raw(sim, Fault.raw("answer", "answer"))).count(b"Who's there?") == 2
    assert (await raw(sim, Fault.raw("head"))).endswith(b"\r\n\r\n")
    assert len(await raw(sim, Fault.raw("head", "half"))) < len(once)
    assert b"x-more: yes" in await raw(sim, Fault.raw("answer", headers={"x-more": "yes"}))
    assert (await raw(sim, "two-lengths")).lower().count(b"content-length") == 2
    assert (await raw(sim, Fault.raw("chunked-head", "half"))).lower().count(b"transfer-encoding: chunked") == 1


async def test_a_script_notices_a_disconnect(sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """An endless response would never stop, or a disconnect would go unnoticed."""
    for fault in ("endless-body", "slow-headers"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await read(ask(http, sim, fault=fault))
        assert await sim.requests[-1].wait_closed(2) is True
        assert not sim.requests[-1].finished


async def test_an_error_response_gets_no_further_fault(sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """A test of a cut stream with a mistake in its request would fail without showing the mistake."""
    async with ask(http, sim, fault="cut-after-1-events", stream=True, model="no-such-model") as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "model_not_found"


# --- web pages ------------------------------------------------------------------------------------------------------

WEB_PAGES = {
    "a page of another origin": {"Origin": "https://example.com"},
    "a page of a file": {"Origin": "null"},
    "a name that leads here": {"Host": "example.com"},
    "such a name with the port": {"Host": "127.0.0.1.example.com:80"},
    "a page that was loaded here": {"Origin": "http://127.0.0.1:80"},
}


@pytest.mark.parametrize("case", WEB_PAGES)
async def test_web_pages_are_refused_before_their_body_is_read(case: str) -> None:
    """Any web page that a developer visits could fill the memory, or read recorded replies."""
    async with SimulatorServer() as sim, aiohttp.ClientSession(headers=WEB_PAGES[case]) as http:
        async with ask(http, sim) as response:
            assert response.status == 403
        assert sim.requests == []


async def test_hosts_of_this_machine_are_served() -> None:
    """A client that names the server otherwise would be refused."""
    async with SimulatorServer() as sim:
        port = sim.url.rpartition(":")[2]
        for host in ("localhost", f"LOCALHOST:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
            async with aiohttp.ClientSession(headers={"Host": host}) as http, ask(http, sim) as response:
                assert response.status == 200


async def test_the_log_of_requests_is_bounded_in_bytes() -> None:
    """A simulator that is left running would fill the memory with large requests."""
    async with SimulatorServer(reply="a") as sim, aiohttp.ClientSession() as http:
        headers = {"authorization": f"Bearer {sim.api_keys['openai']}"}
        for i in range(5):
            body = io.BytesIO(b"x" * (40_000_000 + i))
            async with http.post(sim.base_urls["openai"] + PATHS["openai"], data=body, headers=headers) as response:
                await response.read()
        assert [len(request.raw) for request in sim.requests] == [40_000_003, 40_000_004]


async def test_deep_bodies_do_not_end_the_process() -> None:
    """One request could crash the server, where the recursion limit is high."""
    async with SimulatorServer() as sim, aiohttp.ClientSession() as http:
        key = {"authorization": f"Bearer {sim.api_keys['openai']}"}
        async with http.post(sim.base_urls["openai"] + PATHS["openai"], data=b"[" * 300_000, headers=key) as response:
            assert response.status == 400
        assert sim.requests[0].body is None
