"""An MCP server whose tools return every kind of content, fail, and hang; over stdio when run as a program.

``RESULTS`` has what its tools answer, ``TOOLS`` how it lists them, two a page.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from mcp import MCPError, types
from mcp.server import Server
from mcp.server.stdio import stdio_server

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
WAV = "UklGRiQAAABXQVZFZm10IA=="
ZIP = "UEsFBgAAAAA="

NO_PARAMETERS: dict[str, Any] = {"type": "object"}
READ_ONLY = types.ToolAnnotations(read_only_hint=True)
HARMLESS = types.ToolAnnotations(destructive_hint=False)

TOOLS = [
    types.Tool(
        name="read.file",
        description="Reads a file.",
        input_schema={
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"path": {"type": "string", "description": "Where it is.", "minLength": 1}},
            "required": ["path"],
        },
        annotations=READ_ONLY,
    ),
    types.Tool(name="photo", title="Takes a photo", input_schema=NO_PARAMETERS, annotations=HARMLESS),
    types.Tool(name="attachments", input_schema=NO_PARAMETERS, annotations=READ_ONLY),
    types.Tool(name="measure", input_schema=NO_PARAMETERS, annotations=READ_ONLY),
    types.Tool(name="delete", input_schema=NO_PARAMETERS),
    types.Tool(name="wait", input_schema=NO_PARAMETERS, annotations=READ_ONLY),
    types.Tool(name="broken", input_schema=NO_PARAMETERS, annotations=READ_ONLY),
    types.Tool(name="silent", input_schema=NO_PARAMETERS, annotations=READ_ONLY),
    types.Tool(name="die", input_schema=NO_PARAMETERS, annotations=READ_ONLY),
]

RESULTS: Mapping[str, types.CallToolResult] = {
    "photo": types.CallToolResult(
        content=[types.ImageContent(data=PIXEL, mime_type="image/png")], structured_content={"width": 1}
    ),
    "attachments": types.CallToolResult(
        content=[
            types.TextContent(text="six of them"),
            types.EmbeddedResource(resource=types.TextResourceContents(uri="file:///a.txt", text="a text")),
            types.EmbeddedResource(
                resource=types.BlobResourceContents(uri="file:///b/b.pdf", blob=PDF, mime_type="application/pdf")
            ),
            types.EmbeddedResource(
                resource=types.BlobResourceContents(uri="file:///c.png", blob=PIXEL, mime_type="image/png")
            ),
            types.ResourceLink(name="d", uri="file:///d.txt"),
            types.AudioContent(data=WAV, mime_type="audio/wav"),
            types.EmbeddedResource(
                resource=types.BlobResourceContents(uri="file:///e.zip", blob=ZIP, mime_type="application/zip")
            ),
        ]
    ),
    "measure": types.CallToolResult(content=[], structured_content={"metres": 3}),
    "delete": types.CallToolResult(content=[types.TextContent(text="it is"), types.TextContent(text="gone")]),
    "broken": types.CallToolResult(content=[types.TextContent(text="the disk is full")], is_error=True),
    "silent": types.CallToolResult(content=[]),
}


class ToolServer:
    """The server, and what it was asked to do."""

    def __init__(self, tools: list[types.Tool] | None = None) -> None:
        self.tools = TOOLS if tools is None else tools
        self.next_page: str | None = None
        """The cursor after each page, in place of the right one."""
        self.calls: list[str] = []
        self.cancelled: list[str] = []
        self.server: Server[Any] = Server("tools", on_list_tools=self._list, on_call_tool=self._call)

    async def _list(self, _context: object, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        start = int(params.cursor or 0) if params is not None else 0
        following = self.next_page or (str(start + 2) if start + 2 < len(self.tools) else None)
        return types.ListToolsResult(tools=self.tools[start : start + 2], next_cursor=following)

    async def _call(self, _context: object, params: types.CallToolRequestParams) -> types.CallToolResult:
        self.calls.append(params.name)
        if params.name == "wait":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(params.name)
                raise
        if params.name == "die":
            os._exit(1)
        if params.name != "read.file":
            return RESULTS[params.name]
        path = (params.arguments or {}).get("path")
        if not isinstance(path, str):
            raise MCPError(types.INVALID_PARAMS, "path must be a text")
        if path == "/secret":
            raise MCPError(types.INTERNAL_ERROR, "postgres://user:password@host")
        return types.CallToolResult(content=[types.TextContent(text=f"the text of {path}")])


async def main() -> None:
    """Serves one client over stdin and stdout."""
    server = ToolServer().server
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
