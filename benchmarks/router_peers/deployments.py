"""Four servers on this machine that speak OpenAI's format, and behave as a scenario wants."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web

from benchmarks.router_peers.plan import DEPLOYMENTS, LARGE_WINDOW, SMALL_WINDOW, Scenario

_SECONDS_OF_A_REPLY = 0.02
_INDEX = web.AppKey("index", int)


class Deployments:
    """The deployments of a scenario; `sent` has the requests that each got, `faulty` those that a fault met."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._since: float | None = None
        self._runners: list[web.AppRunner] = []
        self.urls: list[str] = []
        self.sent = [0] * DEPLOYMENTS
        self.faulty = 0

    async def __aenter__(self) -> Deployments:
        for index in range(DEPLOYMENTS):
            app = web.Application()
            app.router.add_post("/v1/chat/completions", self._answer)
            app[_INDEX] = index
            runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._runners.append(runner)
            self.urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        return self

    async def __aexit__(self, *exc: object) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        index = request.app[_INDEX]
        body: dict[str, Any] = await request.json()
        now = time.perf_counter()
        self._since = now if self._since is None else self._since
        self.sent[index] += 1
        fault = self._scenario.fault
        if fault is not None and index in fault.deployments and fault.begin <= now - self._since < fault.end:
            self.faulty += 1
            match fault.kind:
                case "silent":
                    await asyncio.sleep(600)
                case "refuses":
                    return _error(503, "The server is overloaded or not ready yet.", "server_error", None)
                case "rate limited":
                    headers = {"retry-after": str(fault.retry_after)}
                    return _error(429, "Rate limit reached for requests", "requests", "rate_limit_exceeded", headers)
        tokens = sum(len(message["content"].split()) for message in body["messages"])
        window = SMALL_WINDOW if self._scenario.windows != "equal" and index < DEPLOYMENTS // 2 else LARGE_WINDOW
        if tokens > window:
            text = f"This model's maximum context length is {window} tokens. However, your messages have {tokens}."
            return _error(400, text, "invalid_request_error", "context_length_exceeded")
        if self._scenario.per_second:
            await asyncio.sleep(_SECONDS_OF_A_REPLY)
        return web.json_response(_completion(body["model"]))


def _error(status: int, text: str, kind: str, code: str | None, headers: dict[str, str] | None = None) -> web.Response:
    error = {"message": text, "type": kind, "code": code, "param": None}
    return web.json_response({"error": error}, status=status, headers=headers)


def _completion(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Because of the air.", "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }
