"""Tools of an MCP server beside one's own; run with an argument, it is the server."""

import asyncio
import os
import sys

from mcp import Client, ClientSession, StdioServerParameters, stdio_client
from mcp.server import MCPServer
from mcp.types import ToolAnnotations

from anycompletion import AsyncCompletion
from anycompletion.integrations.mcp import mcp_tools
from anycompletion.tools import PendingCall, tool

MODEL = "anthropic/claude-sonnet-4-5"
SERVER = StdioServerParameters(command=sys.executable, args=[__file__, "serve"], env=dict(os.environ))

files = MCPServer("files")


@files.tool(annotations=ToolAnnotations(read_only_hint=True))
def read(path: str) -> str:
    """Read a file."""
    return f"the text of {path}"


@files.tool()
def remove(path: str) -> str:
    """Remove a file."""
    return f"{path} is gone"


@tool
def favourite() -> str:
    """The user's favourite folder."""
    return "/srv/music"


def allow_reads(call: PendingCall) -> bool | str:
    return call.name.startswith("fs_read") or "only reading is allowed"


async def main() -> None:
    async with (
        AsyncCompletion() as client,
        stdio_client(SERVER) as (read, write),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        reading = await mcp_tools(session, prefix="fs_", only=["read"])
        outcome = await client.run_tools(MODEL, "What is new?", [*reading, favourite], approve=allow_reads)
        print("read:", outcome.turns[0].outcomes[0].content, outcome.status)

        tools = [*await mcp_tools(session, prefix="fs_", only={"remove"}), favourite]
        outcome = await client.run_tools(MODEL, "Tidy up.", tools, approve=allow_reads)
        print("denied:", outcome.turns[0].outcomes[0].content)
        outcome = await client.run_tools(MODEL, "Tidy up.", tools)
        print("paused:", outcome.status, [call.name for call in outcome.pending])

        async with Client(files) as in_process:
            tools = [*await mcp_tools(in_process, needs_approval="none", timeout=5), favourite]
            outcome = await client.run_tools(MODEL, "What is new?", tools)
            print("in process:", outcome.turns[0].outcomes[0].content)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        files.run("stdio")
    else:
        asyncio.run(main())
