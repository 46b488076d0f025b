"""Tests of what docs/web.md, docs/endpoint.md and docs/bridge.md only define: services answer and pass streams on."""

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx2
import pytest
from aiohttp import web
from openai import AsyncOpenAI, NotFoundError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import anycompletion
from anycompletion import AsyncCompletion, CompletionError, InvalidRequestError
from anycompletion.testing import SimulatorServer
from anycompletion.web import chat_completions_app, public_error
from support.pages import DOCS, snippets_of
from support.services import aiohttp_service, asgi_service

NODE = shutil.which("node")


def block(language: str, part: str, page: str = "web") -> str:
    """The code of the first block of that language that contains `part`."""
    return next(one.code for one in snippets_of(DOCS / f"{page}.md") if one.language == language and part in one.code)


def names_of(part: str, page: str = "web", *changes: tuple[str, str]) -> dict[str, Any]:
    """What the python block that contains `part` defines, after replacements in its code."""
    names: dict[str, Any] = {"__name__": "page"}
    code = block("python", part, page)
    for old, new in changes:
        assert old in code
        code = code.replace(old, new)
    exec(compile(code, f"docs/{page}.md", "exec"), names)
    return names


@pytest.fixture
async def simulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SimulatorServer]:
    """A simulator that the environment points to."""
    async with SimulatorServer(reply="Once upon a time", chunk_delay=0.02) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture(params=["FastAPI", "AppKey"])
async def service(request: pytest.FixtureRequest, simulator: SimulatorServer) -> AsyncIterator[str]:
    """The URL of the page's service, with FastAPI and with aiohttp.web."""
    app = names_of(request.param)["app"]
    serving = aiohttp_service(app) if isinstance(app, web.Application) else asgi_service(app)
    async with serving as url:
        yield url


async def test_services_stream_and_reply(service: str) -> None:
    """A service that was copied from the page would not answer."""
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{service}/chat", json="Hello!") as response:
            events = (await response.text()).split("\n\n")
        async with session.post(f"{service}/reply", json="Hello!") as response:
            reply = await response.json()
    assert events[-2] == "data: [DONE]"
    assert reply["choices"][0]["message"]["content"] == "Once upon a time"


@pytest.mark.parametrize("path", ["chat", "reply"])
async def test_services_turn_errors_into_responses(service: str, simulator: SimulatorServer, path: str) -> None:
    """An error of a provider would be a 500 of the page's service."""
    simulator.fault = "rate-limit"
    async with aiohttp.ClientSession() as session, session.post(f"{service}/{path}", json="Hello!") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_transcripts_have_what_had_arrived(simulator: SimulatorServer) -> None:
    """The recipe would miss the streams whose reader left."""
    names = names_of("transcripts")
    async with AsyncCompletion() as client:

        async def handle(request: Request) -> Response:
            response: Response = await names["chat"](request, client, "Hello!")
            return response

        app = Starlette(routes=[Route("/", handle)])
        async with asgi_service(app) as url, aiohttp.ClientSession() as session:
            async with session.get(url) as response:
                await response.read()
            async with session.get(url) as response:
                await response.content.readany()
                response.close()
            assert await simulator.requests[-1].wait_closed()
            while len(names["transcripts"]) < 2:
                await asyncio.sleep(0.01)
        simulator.fault = "cut-after-3-events"
        async with asgi_service(app) as url, aiohttp.ClientSession() as session, session.get(url) as response:
            await response.read()
    (whole, left, cut) = names["transcripts"]
    assert whole == ("Once upon a time", "complete")
    assert left[1] == "the user left"
    assert cut == ("Once upon", "failed: StreamInterruptedError")


async def test_the_limit_per_user_counts_open_streams(simulator: SimulatorServer) -> None:
    """The recipe would refuse too many requests, or never let a user in again."""
    names = names_of("MAX_STREAMS")
    async with AsyncCompletion() as client:

        async def handle(request: Request) -> Response:
            response: Response = await names["chat"](request, client, "ann", "Hello!")
            return response

        app = Starlette(routes=[Route("/", handle)])
        async with asgi_service(app) as url, aiohttp.ClientSession() as session:
            responses = await asyncio.gather(*(session.get(url) for _ in range(5)))
            assert Counter(response.status for response in responses) == {200: 3, 429: 2}
            for response in responses:
                await response.read()
            async with session.get(url) as response:
                assert response.status == 200


def test_the_table_of_errors_is_complete() -> None:
    """The page would lack an error that services send, or have one that they do not."""
    classes = [
        cls for cls in vars(anycompletion).values() if isinstance(cls, type) and issubclass(cls, CompletionError)
    ]
    shown = [public_error(cls("x")) for cls in classes] + [public_error(InvalidRequestError("x", param="model"))]
    rows = re.findall(
        r"^\| [^|]+ \| (\d{3}\b[^|]*) \| (`\w+`|) ?\|$", (DOCS / "web.md").read_text("utf-8"), re.MULTILINE
    )
    of_page = {(status, code.strip("`")) for text, code in rows for status in re.findall(r"\d{3}", text)}
    assert of_page == {(str(error.status), error.code or "") for error in shown}


@pytest.mark.skipif(NODE is None, reason="there is no node")
@pytest.mark.parametrize(
    ("fault", "body", "printed"),
    [
        (None, "'Hello!'", "Once upon a time|whole"),
        ("rate-limit", "'Hello!'", "|too many requests; try again later"),
        ("cut-after-3-events", "'Hello!'", "Once upon|the answer was cut off before its end"),
        (None, "{}", "|the service answered 422"),
    ],
)
async def test_the_browsers_half_reads_streams(
    simulator: SimulatorServer, fault: str | None, body: str, printed: str
) -> None:
    """A page that was copied would show no text, or take an interrupted answer for a complete one."""
    simulator.fault = fault
    async with asgi_service(names_of("FastAPI")["app"]) as url:
        script = block("js", "ask").replace('"/chat"', f'"{url}/chat"') + (
            f"await ask({body}, (text) => process.stdout.write(text))"
            '.then(() => console.log("|whole"), (error) => console.log("|" + error.message));'
        )
        assert await output_of_node(script) == printed


@pytest.mark.skipif(NODE is None, reason="there is no node")
@pytest.mark.parametrize(
    ("body", "printed"),
    [
        ('{"error": {"message": "slow down"}}', "slow down"),
        ('{"detail": "too many streams"}', "too many streams"),
        ('{"detail": [{"msg": "Input should be a valid string"}]}', "the service answered 418"),
        ("Internal Server Error", "the service answered 418"),
    ],
)
async def test_the_browsers_half_reads_errors(body: str, printed: str) -> None:
    """A page that was copied would show an error of JavaScript in place of the service's."""
    script = block("js", "ask") + f"console.log(await errorText(new Response({body!r}, {{ status: 418 }})));"
    assert await output_of_node(script) == printed


async def output_of_node(script: str) -> str:
    """What a script prints."""
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        *(NODE, "--input-type=module", "-e", script), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return output.decode().strip()


async def test_conversations_reach_the_provider(simulator: SimulatorServer) -> None:
    """The recipe would lose the history, or take a system message from a browser."""
    turns = [{"role": "user", "content": "Name a river."}, {"role": "assistant", "content": "The Rhine."}]
    async with asgi_service(names_of("class Conversation")["app"]) as url, aiohttp.ClientSession() as session:
        async with session.post(f"{url}/chat", json={"messages": turns}) as response:
            assert (await response.text()).endswith("data: [DONE]\n\n")
        for wrong in ([], turns * 26, [{"role": "system", "content": "Obey."}]):
            async with session.post(f"{url}/chat", json={"messages": wrong}) as response:
                assert response.status == 422
    (request,) = simulator.requests
    assert [message["role"] for message in request.body["messages"]] == ["system", "user", "assistant"]
    assert request.body["messages"][1:] == turns


@pytest.fixture
async def plain_text(simulator: SimulatorServer) -> AsyncIterator[str]:
    """The URL of the page's service that sends plain text."""
    async with asgi_service(names_of("text/plain")["app"]) as url:
        yield f"{url}/chat"


async def test_plain_text_is_streamed(simulator: SimulatorServer, plain_text: str) -> None:
    """The recipe would not send the text, or answer an early error with status 200."""
    async with aiohttp.ClientSession() as session:
        async with session.post(plain_text, json="Hello!") as response:
            assert await response.text() == "Once upon a time"
        simulator.fault = "rate-limit"
        async with session.post(plain_text, json="Hello!") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_plain_text_that_was_cut_is_not_complete(simulator: SimulatorServer, plain_text: str) -> None:
    """Readers of the recipe's text would take an interrupted answer for a complete one."""
    simulator.fault = "cut-after-3-events"
    async with aiohttp.ClientSession() as session, session.post(plain_text, json="Hello!") as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.text()


async def test_plain_text_stops_with_its_reader(simulator: SimulatorServer, plain_text: str) -> None:
    """The provider would go on after the reader of the recipe's text has left."""
    simulator.fault = "stall-after-3-events"
    async with aiohttp.ClientSession() as session, session.post(plain_text, json="Hello!") as response:
        await response.content.readany()
        response.close()
        assert await simulator.requests[-1].wait_closed()


async def test_the_deadline_is_a_status(simulator: SimulatorServer) -> None:
    """A provider that does not answer would be status 200, or be asked for ever."""
    simulator.fault = "hang"
    app = names_of("asyncio.timeout", "web", ("timeout(20)", "timeout(0.2)"))["app"]
    async with asgi_service(app) as url, aiohttp.ClientSession() as session:
        async with session.post(f"{url}/chat", json="Hello!") as response:
            assert response.status == 504
        assert await simulator.requests[-1].wait_closed()
        simulator.fault = None
        async with session.post(f"{url}/chat", json="Hello!") as response:
            assert (await response.text()).endswith("data: [DONE]\n\n")


async def test_a_conversation_with_approvals_goes_on(simulator: SimulatorServer) -> None:
    """The page's service would lose what a tool has done, book twice, or show one user another one's conversation."""
    app = names_of("class Conversation:")["app"]
    booked = 0
    async with asgi_service(app) as url, aiohttp.ClientSession() as session:

        async def ask(path: str, user: str = "ada", **body: Any) -> tuple[int, str]:
            nonlocal booked
            async with session.post(f"{url}/{path}", json=body, headers={"x-user": user}) as response:
                text = await response.text()
                ids.append(response.headers.get("x-conversation", ""))
            booked += text.count('"content":"booked')
            return response.status, text

        ids: list[str] = []
        status, text = await ask("chat", text="A table, please.")
        assert status == 200
        (call_id,) = re.findall(r'"pending":\[\{"id":"([^"]+)"', text)
        conversation, yes = ids[0], {call_id: True}
        assert (await ask("decide", "bob", conversation=conversation, approved=yes))[0] == 404
        assert (await ask("decide", conversation=conversation, approved={}))[0] == 422
        assert (await ask("chat", conversation=conversation, text="Or not."))[0] == 409
        simulator.fault = "overloaded"
        assert '"error"' in (await ask("decide", conversation=conversation, approved=yes))[1]
        simulator.fault = None
        for status in (200, 409):
            assert (await ask("decide", conversation=conversation, approved=yes))[0] == status
        assert booked == 1
        assert (await ask("chat", conversation=conversation, text="Thanks!"))[0] == 200
    roles = [message["role"] for message in simulator.requests[-1].body["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


async def test_events_of_ones_own_end_with_an_error(simulator: SimulatorServer) -> None:
    """The recipe would show the provider's text to users, or lose the error."""
    definitions = block("python", "def describe").partition("async for event in events(client")[0]
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(definitions, "docs/web.md", "exec"), names)
    simulator.fault = "cut-after-3-events"
    async with AsyncCompletion() as client:
        events = [event async for event in names["events"](client.stream("openai/gpt-4o-mini", "Hello!"), "c-7")]
    assert events[0] == b'event: conversation\ndata: "c-7"\n\n'
    assert b'{"error":{"message":"the answer was cut off before its end"' in events[-1]


async def test_the_endpoint_answers_its_callers(simulator: SimulatorServer) -> None:
    """The service of the endpoint's page would not answer, or answer without a key."""
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}
    async with asgi_service(names_of("CALLERS", "endpoint")["app"]) as url, aiohttp.ClientSession() as session:
        for key, status in {"key-of-the-shop": 200, "key-of-the-lab": 404, "no-key": 401}.items():
            headers = {"Authorization": f"Bearer {key}"}
            async with session.post(f"{url}/llm/chat/completions", json=body, headers=headers) as response:
                assert response.status == status


async def test_the_transport_of_the_bridge_streams(simulator: SimulatorServer) -> None:
    """OpenAI's SDK would get a stream at its end only, or leaving it early would not stop the provider."""
    definitions, _, _ = block("python", "class StreamingASGITransport", "bridge").partition(
        "async with AsyncCompletion"
    )
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(definitions, "docs/bridge.md", "exec"), names)
    simulator.fault = "stall-after-3-events"
    async with AsyncCompletion() as client:
        endpoint = chat_completions_app(client, authorize=lambda request: True)
        http_client = httpx2.AsyncClient(transport=names["StreamingASGITransport"](endpoint))
        async with AsyncOpenAI(base_url="http://in-process", api_key="unused", http_client=http_client) as openai:
            stream = await openai.chat.completions.create(
                model="anthropic/claude-haiku-4-5", messages=[{"role": "user", "content": "Hello!"}], stream=True
            )
            async for chunk in stream:
                assert chunk.choices
                break
            await stream.close()
            assert await simulator.requests[-1].wait_closed()
            with pytest.raises(NotFoundError):
                await openai.chat.completions.create(model="nowhere/x", messages=[{"role": "user", "content": "Hi"}])
