"""A server that speaks OpenAI's format, refuses the schemas that OpenAI refuses, and gives each case's reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from anycompletion.testing.formats.openai_chat.validate import validate_body
from anycompletion.testing.formats.wire_format import SimulatedRequest
from benchmarks.structured_peers.cases import Case, case_of
from benchmarks.structured_peers.written import written


class TypedReplyServer:
    """Answers calls for cases; counts them, and the ones that it refused because of their schema."""

    def __init__(self, cases: Mapping[str, Case]) -> None:
        self.cases = dict(cases)
        self.asked: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        self.port = 0

    async def __aenter__(self) -> TypedReplyServer:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        case = case_of(json.dumps(body["messages"]).encode().decode("unicode_escape"), self.cases)
        self.asked[case.name] = self.asked.get(case.name, 0) + 1
        path, headers = "/chat/completions", {"authorization": "Bearer key"}
        problem = validate_body(
            SimulatedRequest(method="POST", path=path, headers=headers, body=body, uid="0" * 32, now=0.0)
        )
        if problem is not None:
            self.refused[case.name] = problem.message
            error = {"message": problem.message, "type": "invalid_request_error", "code": None, "param": problem.param}
            return web.json_response({"error": error}, status=400)
        return web.json_response(_completion(body, case))


def _completion(body: Mapping[str, Any], case: Case) -> dict[str, Any]:
    tools: list[dict[str, Any]] = [each["function"] for each in body.get("tools") or ()]
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    reason = case.finish_reason
    if tools:
        tool = _tool(tools, case)
        arguments = case.text if case.text is not None else json.dumps(written(case.data, tool.get("parameters") or {}))
        call = {"id": "call_1", "type": "function", "function": {"name": tool["name"], "arguments": arguments}}
        message["tool_calls"] = [call]
        reason = "tool_calls" if reason == "stop" else reason
    else:
        schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema") or {}
        if case.text is not None:
            message["content"] = case.text
        else:
            plain = isinstance(case.data, str) and not schema
            message["content"] = case.data if plain else json.dumps(written(case.data, schema))
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def _tool(tools: list[dict[str, Any]], case: Case) -> dict[str, Any]:
    """The tool that is meant: of several, the one that is named like the class."""
    name = str(case.data.get("$class")) if isinstance(case.data, dict) else ""
    return next((each for each in tools if name and each["name"].endswith(name)), tools[0])
