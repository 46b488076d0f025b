"""Tools of MCP servers (extra ``mcp``); opens and closes no session. https://modelcontextprotocol.io/specification"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from functools import partial
from typing import Any, Literal

try:
    from mcp import Client, ClientSession, MCPError, types
except ImportError as missing:
    raise ImportError("tools of MCP servers need an extra: pip install 'anycompletion[mcp]'") from missing

from .. import FilePart, FileRef, ImagePart, ImageUrl, InvalidRequestError, Part, TextPart
from ..tools import RunnableTool, ToolError

_APPROVALS = ("destructive", "all", "none")
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")  # a request with another fails, and so does the run


async def mcp_tools(
    session: ClientSession | Client,
    *,
    prefix: str = "",
    only: Collection[str] | None = None,
    needs_approval: Literal["destructive", "all", "none"] = "destructive",
    timeout: float | None = 60,
) -> list[RunnableTool[..., Any]]:
    """The tools that an MCP server lists now, for `run_tools`; call it again to read the list anew.

    Schemas go to the provider as the server wrote them, and the server checks the arguments. Of a result, the model
    gets text, images, PDFs and links, and structured content where there is no text; of audio and other data only the
    description. Errors that the tool reports (``isError``), and those about the arguments, reach the model with the
    server's text.

    Args:
        session: an open session, which stays yours to close. After that, calls of its tools fail, and the run goes on.
        prefix: precedes each name. Characters that providers do not take in names become ``_``.
        only: the server's names of the tools to take. Default: all.
        needs_approval: ``"destructive"``: the tools that the server marks neither as read-only nor as not destructive,
            which by the specification may destroy something; ``"all"``, for servers that you do not trust; ``"none"``.
        timeout: seconds that one call may take, whatever the run's `tool_timeout` is; None for that. Default: 60.

    Raises:
        InvalidRequestError: an argument is invalid, two tools would have one name, a name is too long, a schema is not
            that of an object, or the server has no tool of `only`.
        mcp.MCPError: the server did not list its tools.
    """
    if needs_approval not in _APPROVALS:  # a misspelt value must not let tools run unasked
        expected = "needs_approval: expected 'destructive', 'all' or 'none'"
        raise InvalidRequestError(f"{expected}, found {needs_approval!r}", param="needs_approval")
    if isinstance(only, str):
        raise InvalidRequestError("only: expected a list of names, found str", param="only")
    listed = await _list_tools(session.session if isinstance(session, Client) else session)
    names = [each.name for each in listed]
    if missing := [name for name in only or () if name not in names]:
        raise InvalidRequestError(f"only: the server has no tool {missing[0]!r}; it has {', '.join(names)}")
    found: dict[str, RunnableTool[..., Any]] = {}
    for each in listed:
        if only is not None and each.name not in only:
            continue
        name = re.sub(r"[^a-zA-Z0-9_-]", "_", prefix + each.name)
        if name in found:
            raise InvalidRequestError(f"two tools of the server would have the name {name!r}, one is {each.name!r}")
        hints = each.annotations or types.ToolAnnotations()
        may_destroy = not hints.read_only_hint and hints.destructive_hint is not False
        try:
            found[name] = RunnableTool.from_schema(
                name,
                # Some servers write null where there is nothing, such as for the properties of no parameters.
                {key: value for key, value in each.input_schema.items() if key != "$schema" and value is not None},
                partial(_call_tool, session, each.name),
                description=each.description or each.title,
                strict=False,
                timeout=timeout,
                needs_approval=needs_approval == "all" or (needs_approval == "destructive" and may_destroy),
            )
        except InvalidRequestError as error:
            raise InvalidRequestError(f"the server's tool {each.name!r}: {error}", param=error.param) from None
    return list(found.values())


async def _list_tools(session: ClientSession) -> list[types.Tool]:
    tools: list[types.Tool] = []
    cursors: list[str | None] = [None]
    while cursors.count(cursors[-1]) == 1:  # until there is none, or the server begins again
        page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursors[-1]))
        tools += page.tools
        cursors.append(page.next_cursor)
    return tools


async def _call_tool(session: ClientSession | Client, name: str, arguments: dict[str, Any]) -> object:
    """The content of a result. Errors whose text is for the model are `ToolError`s."""
    try:
        result = await session.call_tool(name, arguments)
    except MCPError as error:
        if error.code == types.INVALID_PARAMS:
            raise ToolError(error.message) from error
        raise
    parts = [_part(block) for block in result.content]
    if result.structured_content is not None and not any(isinstance(part, TextPart) for part in parts):
        parts.insert(0, TextPart(json.dumps(result.structured_content, ensure_ascii=False)))
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    content = parts if len(texts) < len(parts) else "\n".join(texts)
    if result.is_error:
        raise ToolError(content)
    return content


def _part(block: types.ContentBlock) -> Part:
    match block:
        case types.TextContent(text=text) | types.EmbeddedResource(resource=types.TextResourceContents(text=text)):
            return TextPart(text)
        case types.ImageContent(mime_type=kind, data=data) if kind in _IMAGES:
            return ImagePart(ImageUrl(f"data:{kind};base64,{data}"))
        case types.EmbeddedResource(resource=types.BlobResourceContents(mime_type=kind, blob=data)) if kind in _IMAGES:
            return ImagePart(ImageUrl(f"data:{kind};base64,{data}"))
        case types.EmbeddedResource(resource=types.BlobResourceContents(mime_type="application/pdf") as file):
            name = file.uri.rpartition("/")[2]
            return FilePart(FileRef(file_data=f"data:application/pdf;base64,{file.blob}", filename=name))
        case _:
            bulk: Any = {"data": True, "resource": {"blob"}}
            return TextPart(block.model_dump_json(by_alias=True, exclude_none=True, exclude=bulk))


__all__ = ["mcp_tools"]
