"""Tools of MCP servers: how they are listed, called and answered, and sessions that are closed in the wrong order."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="mcp is an extra")

from mcp import Client, ClientSession, StdioServerParameters, stdio_client, types
from mcp.shared.memory import create_client_server_memory_streams

from anycompletion import AsyncCompletion, FilePart, ImagePart, InvalidRequestError, Part, TextPart, ToolCall
from anycompletion.integrations.mcp import mcp_tools
from anycompletion.testing import FakeProvider, tool_call
from anycompletion.tools import RunnableTool, ToolError, ToolOutcome, tool
from support.mcp_server import NO_PARAMETERS, PDF, PIXEL, ToolServer

MODEL = "openai/gpt-4o"
TESTS = Path(__file__).parents[2]
STDIO = StdioServerParameters(command=sys.executable, args=["-m", "support.mcp_server"], cwd=TESTS)


@asynccontextmanager
async def served(server: ToolServer) -> AsyncIterator[ClientSession]:
    """A session with the server over streams in memory."""
    async with create_client_server_memory_streams() as (ours, theirs):
        options = server.server.create_initialization_options()
        serving = asyncio.create_task(server.server.run(*theirs, options))
        try:
            async with ClientSession(*ours) as session:
                await session.initialize()
                yield session
        finally:
            serving.cancel()
            await asyncio.wait([serving])


@pytest.fixture
def server() -> ToolServer:
    """The server of the session."""
    return ToolServer()


@pytest.fixture
async def session(server: ToolServer) -> AsyncIterator[ClientSession]:
    """An open session."""
    opened: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def hold() -> None:
        # Fixtures are set up and torn down in different tasks, which a session does not allow.
        async with served(server) as found:
            opened.set_result(found)
            await done.wait()

    holding = asyncio.create_task(hold())
    yield await opened
    done.set()
    await holding


async def called(session: ClientSession | Client, name: str, **arguments: object) -> ToolOutcome:
    """The outcome of one call of one of the server's tools."""
    (found,) = await mcp_tools(session, only=[name])
    call = ToolCall.from_dict({"id": "c1", "function": {"name": found.name, "arguments": json.dumps(arguments)}})
    return await found.run(call)


# --- the list --------------------------------------------------------------------------------------------------------


async def test_all_pages_of_the_list_are_read(session: ClientSession, server: ToolServer) -> None:
    """The model would get to know the tools of the first page only."""
    tools = await mcp_tools(session)
    assert [each.name for each in tools] == [each.name.replace(".", "_") for each in server.tools]


async def test_a_definition_is_the_servers_own(session: ClientSession) -> None:
    """Constraints of the server's schema would be lost, or its dialect reach a provider that refuses it."""
    reading, photo, *_ = await mcp_tools(session)
    assert reading.definition.to_dict() == {
        "type": "function",
        "function": {
            "name": "read_file",
            "description": "Reads a file.",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string", "description": "Where it is.", "minLength": 1}},
                "required": ["path"],
            },
            "strict": False,
        },
    }
    assert photo.parameters == {"type": "object", "properties": {}}
    assert photo.description == "Takes a photo"


async def test_names_get_a_prefix(session: ClientSession) -> None:
    """Tools of two servers could not be distinguished."""
    tools = await mcp_tools(session, prefix="fs/", only=["read.file", "photo"])
    assert [each.name for each in tools] == ["fs_read_file", "fs_photo"]


@pytest.mark.parametrize(
    ("names", "options", "error"),
    [
        (["a.b", "a/b"], {}, "'a_b'"),
        (["twice", "twice"], {}, "'twice'"),
        (["x" * 65], {}, "64"),
        (["x" * 60], {"prefix": "files_"}, "64"),
        (["a"], {"only": ["a", "b"]}, "no tool 'b'; it has a"),
    ],
    ids=["equal after replacement", "equal", "too long", "too long by the prefix", "not there"],
)
async def test_names_that_cannot_be_used_are_refused(names: list[str], options: dict[str, Any], error: str) -> None:
    """A call could reach another tool than the model meant, or the provider would refuse the request."""
    tools = [types.Tool(name=name, input_schema=NO_PARAMETERS) for name in names]
    async with served(ToolServer(tools)) as session:
        with pytest.raises(InvalidRequestError, match=error):
            await mcp_tools(session, **options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"needs_approval": "destuctive"},
            "needs_approval: expected 'destructive', 'all' or 'none', found 'destuctive'",
        ),
        ({"needs_approval": True}, "needs_approval: expected 'destructive', 'all' or 'none', found True"),
        ({"needs_approval": None}, "needs_approval: expected 'destructive', 'all' or 'none', found None"),
        ({"only": "delete"}, "only: expected a list of names, found str"),
    ],
    ids=["misspelt", "True", "None", "a text"],
)
async def test_invalid_arguments_are_refused(session: ClientSession, options: dict[str, Any], error: str) -> None:
    """A destructive tool would run unasked, or other tools be taken than were meant."""
    with pytest.raises(InvalidRequestError) as caught:
        await mcp_tools(session, **options)
    assert str(caught.value) == error


async def test_nulls_in_a_schema_are_left_out() -> None:
    """One tool without parameters would cost all tools of servers that write null for them."""
    schema = {"type": "object", "properties": None, "required": None}
    async with served(ToolServer([types.Tool(name="now", input_schema=schema)])) as session:
        (found,) = await mcp_tools(session)
    assert found.parameters == {"type": "object", "properties": {}}


async def test_an_unusable_tool_is_refused_by_its_name_at_the_server() -> None:
    """One could not see which of a server's tools to leave out by `only`."""
    tools = [types.Tool(name=name, input_schema=NO_PARAMETERS) for name in ("good", "x" * 65)]
    async with served(ToolServer(tools)) as session:
        with pytest.raises(InvalidRequestError, match=f"the server's tool '{'x' * 65}': name: "):
            await mcp_tools(session)
        assert [each.name for each in await mcp_tools(session, only=["good"])] == ["good"]


@pytest.mark.parametrize(("given", "used"), [({}, 60), ({"timeout": 5}, 5), ({"timeout": None}, None)], ids=str)
async def test_calls_have_a_timeout_of_their_own(session: ClientSession, given: Any, used: float | None) -> None:
    """A call would not be bounded as documented, or None not leave it to the run."""
    assert {each.timeout for each in await mcp_tools(session, **given)} == {used}


async def test_a_list_that_repeats_itself_ends(session: ClientSession, server: ToolServer) -> None:
    """A server whose pages lead back to the first would be asked for ever."""
    server.next_page = "0"
    with pytest.raises(InvalidRequestError, match="read_file"):
        await mcp_tools(session)


@pytest.mark.parametrize(
    ("needs_approval", "expected"),
    [("destructive", {"delete"}), ("none", set[str]()), ("all", {"read_file", "photo", "delete"})],
)
async def test_destructive_tools_need_approval(session: ClientSession, needs_approval: Any, expected: set[str]) -> None:
    """A tool that may delete data would run unasked, or one that only reads would stop each run."""
    tools = await mcp_tools(session, only=["read.file", "photo", "delete"], needs_approval=needs_approval)
    assert {each.name for each in tools if each.needs_approval} == expected


# --- results ---------------------------------------------------------------------------------------------------------


async def test_texts_are_the_result(session: ClientSession) -> None:
    """The model would not get the text of a result, or only its first piece."""
    assert (await called(session, "read.file", path="a.txt")).content == "the text of a.txt"
    assert (await called(session, "delete")).content == "it is\ngone"
    assert (await called(session, "silent")).content == ""


async def test_structured_content_stands_in_for_text(session: ClientSession) -> None:
    """A result that is only structured would be empty, or one beside an image be lost."""
    assert json.loads(str((await called(session, "measure")).content)) == {"metres": 3}
    text, image = parts_of(await called(session, "photo"))
    assert isinstance(text, TextPart)
    assert json.loads(text.text) == {"width": 1}
    assert isinstance(image, ImagePart)
    assert image.image_url.url == f"data:image/png;base64,{PIXEL}"


async def test_resources_are_parts(session: ClientSession) -> None:
    """Files of a result would be lost, or one that no provider takes would fail the run."""
    text, inline, pdf, image, link, sound, archive = parts_of(await called(session, "attachments"))
    assert [part.text for part in (text, inline) if isinstance(part, TextPart)] == ["six of them", "a text"]
    assert isinstance(pdf, FilePart)
    assert (pdf.file.file_data, pdf.file.filename) == (f"data:application/pdf;base64,{PDF}", "b.pdf")
    assert isinstance(image, ImagePart)
    described = [json.loads(part.text) for part in (link, sound, archive) if isinstance(part, TextPart)]
    assert described == [
        {"type": "resource_link", "name": "d", "uri": "file:///d.txt"},
        {"type": "audio", "mimeType": "audio/wav"},
        {"type": "resource", "resource": {"uri": "file:///e.zip", "mimeType": "application/zip"}},
    ]


def parts_of(outcome: ToolOutcome) -> list[Part]:
    """The parts of an outcome's content."""
    assert outcome.error is None
    assert isinstance(outcome.content, list)
    return outcome.content


async def test_errors_of_tools_have_the_servers_text(session: ClientSession) -> None:
    """The model could not correct its call."""
    outcome = await called(session, "broken")
    assert (outcome.content, type(outcome.error)) == ("the disk is full", ToolError)
    outcome = await called(session, "read.file", path=3)
    assert (outcome.content, type(outcome.error)) == ("path must be a text", ToolError)


async def test_other_errors_keep_their_text(session: ClientSession) -> None:
    """A password in an error of the server's own would reach the model."""
    outcome = await called(session, "read.file", path="/secret")
    assert "password" in str(outcome.error)
    assert json.loads(str(outcome.content)) == {"error": "the tool failed", "type": "MCPError"}


async def test_a_call_that_takes_too_long_is_cancelled(session: ClientSession, server: ToolServer) -> None:
    """A server that does not answer would stop the run, or go on with a call that was given up."""
    (waiting,) = await mcp_tools(session, only=["wait"], timeout=0.05)
    outcome = await waiting.run(ToolCall.from_dict({"id": "c1", "function": {"name": "wait", "arguments": "{}"}}))
    assert "timed out" in str(outcome.content)
    while not server.cancelled:
        await asyncio.sleep(0.001)


# --- runs ------------------------------------------------------------------------------------------------------------


@tool
def favourite() -> str:
    """The user's favourite file."""
    return "a.txt"


async def run_with(tools: list[RunnableTool], **options: Any) -> list[object]:
    """The results of the two tools in a run."""
    fake = FakeProvider([tool_call("favourite"), tool_call("read_file", path="a.txt")], "Done.")
    async with AsyncCompletion(providers=[fake]) as client:
        outcome = await client.run_tools(MODEL, "What is new?", [favourite, *tools], **options)
    assert outcome.text == "Done."
    return [each.content for each in outcome.turns[0].outcomes]


async def test_a_run_calls_the_server(session: ClientSession) -> None:
    """Tools of a server would not work beside one's own."""
    assert await run_with(await mcp_tools(session)) == ["a.txt", "the text of a.txt"]


async def test_a_client_of_mcp_is_a_session_too(server: ToolServer) -> None:
    """Users of mcp's newer class would get an error, or an old list."""
    async with Client(server.server) as client:
        assert await run_with(await mcp_tools(client)) == ["a.txt", "the text of a.txt"]
        server.tools = server.tools[:1]
        assert [each.name for each in await mcp_tools(client)] == ["read_file"]


async def test_a_run_calls_a_server_over_stdio() -> None:
    """A server that is a program of its own would not be reached."""
    async with stdio_client(STDIO) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        assert await run_with(await mcp_tools(session, only=["read.file"])) == ["a.txt", "the text of a.txt"]


async def test_many_calls_share_a_session(session: ClientSession, server: ToolServer) -> None:
    """Answers of calls that run at the same time would be mixed up."""
    calls = [tool_call("read_file", path=f"{number}.txt") for number in range(40)]
    async with AsyncCompletion(providers=[FakeProvider(calls, "Done.")]) as client:
        outcome = await client.run_tools(MODEL, "Read all.", await mcp_tools(session))
    assert [each.content for each in outcome.turns[0].outcomes] == [f"the text of {n}.txt" for n in range(40)]
    assert len(server.calls) == 40


# --- closing in the wrong order --------------------------------------------------------------------------------------

FAILED = '{"error":"the tool failed","type":"MCPError"}'


async def test_a_session_that_was_closed_before_the_run_fails_its_calls(server: ToolServer) -> None:
    """The run would end with an exception of another library, or never."""
    async with served(server) as session:
        tools = await mcp_tools(session)
    assert await run_with(tools) == ["a.txt", FAILED]


async def test_a_session_that_is_closed_during_a_call_fails_it(server: ToolServer) -> None:
    """A call would wait for ever for a server that is gone."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(served(server))
        tools = await mcp_tools(session)
        async with AsyncCompletion(providers=[FakeProvider(tool_call("wait"), "Done.")]) as client:
            running = asyncio.ensure_future(client.run_tools(MODEL, "Wait.", tools))
            while not server.calls:
                await asyncio.sleep(0.001)
            await stack.aclose()
            outcome = await running
    assert ([each.content for each in outcome.turns[0].outcomes], outcome.text) == ([FAILED], "Done.")


async def test_a_transport_that_is_closed_before_its_session_fails_its_calls() -> None:
    """The run would hang where the streams below a session are gone."""
    opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()

    async def hold() -> None:
        async with stdio_client(STDIO) as streams:
            opened.set_result(streams)
            await stop.wait()

    holding = asyncio.create_task(hold())
    async with ClientSession(*await opened) as session:
        await session.initialize()
        tools = await mcp_tools(session, only=["read.file"])
        stop.set()
        await holding
        assert await run_with(tools) == ["a.txt", FAILED]


async def test_a_server_that_dies_during_a_call_fails_it() -> None:
    """The run would wait for ever for a program that has crashed."""
    async with stdio_client(STDIO) as streams, ClientSession(*streams) as session:
        await session.initialize()
        tools = await mcp_tools(session, only=["read.file", "die"])
        calls = [tool_call("die"), tool_call("read_file", path="a.txt")]
        async with AsyncCompletion(providers=[FakeProvider(calls[0], calls[1], "Done.")]) as client:
            outcome = await client.run_tools(MODEL, "Die.", tools)
    assert [turn.outcomes[0].content for turn in outcome.turns[:2]] == [FAILED, FAILED]
    assert outcome.text == "Done."


async def test_a_run_that_is_cancelled_leaves_the_session_usable(session: ClientSession, server: ToolServer) -> None:
    """Cancelling a run would break the session for the next one."""
    tools = await mcp_tools(session)
    async with AsyncCompletion(providers=[FakeProvider(tool_call("wait"))]) as client:
        running = asyncio.ensure_future(client.run_tools(MODEL, "Wait.", tools))
        while not server.calls:
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    while not server.cancelled:
        await asyncio.sleep(0.001)
    assert await run_with(tools) == ["a.txt", "the text of a.txt"]


async def test_sessions_closed_in_another_order_than_opened(server: ToolServer) -> None:
    """A run in one task would keep the sessions of two others from being closed."""
    stop = [asyncio.Event(), asyncio.Event()]
    ready: list[asyncio.Future[list[RunnableTool]]] = [asyncio.get_running_loop().create_future() for _ in stop]

    async def hold(number: int) -> None:
        async with served(server) as session:
            ready[number].set_result(await mcp_tools(session, prefix=f"s{number}_", only=["read.file"]))
            await stop[number].wait()

    holders = [asyncio.create_task(hold(number)) for number in (0, 1)]
    tools = [*await ready[0], *await ready[1]]
    calls = [tool_call("s0_read_file", path="a"), tool_call("s1_read_file", path="b")]
    async with AsyncCompletion(providers=[FakeProvider(calls, calls, "Done.")]) as client:
        run = client.run_tools(MODEL, "Read.", tools)
        first, second = [], []
        async for turn in run:
            if turn.index == 0:
                first = [each.content for each in turn.outcomes]
                stop[0].set()
                await holders[0]
            elif turn.index == 1:
                second = [each.content for each in turn.outcomes]
        assert (first, second) == (["the text of a", "the text of b"], [FAILED, "the text of b"])
    stop[1].set()
    await holders[1]


# --- the extra -------------------------------------------------------------------------------------------------------


def test_without_mcp_the_error_names_the_extra() -> None:
    """A user would get a ModuleNotFoundError that does not say what to install."""
    code = (
        "import sys; sys.modules['mcp'] = None\n"
        "try: import anycompletion.integrations.mcp\n"
        "except ImportError as error: print(error)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'anycompletion[mcp]'" in output
