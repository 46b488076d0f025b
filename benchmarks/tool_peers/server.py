"""A server that speaks the wire formats of the runners, refuses what the providers refuse, and plays the scenarios."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from anycompletion.testing.formats.registry import FORMATS
from anycompletion.testing.formats.reply_script import ReplyScript, choice_chunks
from anycompletion.testing.formats.wire_format import AnyResponse, SimulatedRequest, WireFormat
from anycompletion.testing.simulator.delivery import plain_delivery
from anycompletion.testing.simulator.loopback import LoopbackServer
from anycompletion.testing.simulator.request_log import RecordedRequest
from anycompletion.testing.simulator.sending import send
from benchmarks.tool_peers.requirements import Asked
from benchmarks.tool_peers.scenarios import Turn, scenario_of

_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


class ScenarioServer(LoopbackServer):
    """Plays the model's part of every scenario; it finds the turn of a run in the conversation that is sent."""

    def __init__(self) -> None:
        super().__init__(host="127.0.0.1", port=0)
        self.asked: defaultdict[str, list[Asked]] = defaultdict(list)
        """Scenario → the requests."""
        self.refused: defaultdict[str, list[str]] = defaultdict(list)
        """Scenario → what was wrong with requests that the provider would refuse."""

    @property
    def urls(self) -> dict[str, str]:
        """Provider → base URL, in the form that its SDK takes."""
        return {name: self.url + FORMATS[name].base for name in ("openai", "anthropic")}

    def _provider_of(self, path: str) -> str:
        return path.split("/", 2)[1]

    async def _respond(self, request: web.Request, record: RecordedRequest) -> web.StreamResponse:
        """Plays the next turn."""
        wire = FORMATS[record.provider].of_path(record.path)
        text = record.raw.decode()
        scenario, run = scenario_of(text)
        results = dict(_results(record.body))
        if scenario.runs == 1:
            self.asked[scenario.name].append(Asked(results, text))
        asked = SimulatedRequest(
            method=record.method,
            path=record.path.removeprefix(FORMATS[record.provider].root),
            headers=record.headers,
            body=record.body,
            uid=uuid.uuid4().hex,
            now=time.time(),
        )
        problem = wire.validate(asked, wire.api_key)
        if problem is not None:
            self.refused[scenario.name].append(problem.message)
            return await send(request, record, plain_delivery(wire.error_response(asked, problem)), 0)
        turn = 1 + max(map(int, re.findall(r"\bcall_(\d+)_\d+", text)), default=-1)
        response = _reply(wire, asked, scenario.calls(turn, run), turn, results)
        return await send(request, record, plain_delivery(response), 0)


def _results(node: Any) -> Iterator[tuple[str, str]]:
    """Id of a call and text of its result, of all results in a request of any format."""
    if isinstance(node, list):
        for each in node:
            yield from _results(each)
    elif isinstance(node, dict):
        of_responses = node.get("call_id") if node.get("type") == "function_call_output" else None
        ident = node.get("tool_call_id") or node.get("tool_use_id") or of_responses
        if ident:
            content = node.get("output" if of_responses else "content")
            yield ident, content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        else:
            for each in node.values():
                yield from _results(each)


def _reply(
    wire: WireFormat, asked: SimulatedRequest, calls: Turn, turn: int, results: Mapping[str, str]
) -> AnyResponse:
    """The calls of a turn, or at the end a text that has all results."""
    text = f"done: {', '.join(results.values())}"
    made = [
        {
            "id": f"call_{turn}_{index}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
        }
        for index, call in enumerate(calls)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": made} if made else {"content": text}
    choice = {
        "index": 0,
        "message": {"role": "assistant", **message},
        "finish_reason": "tool_calls" if made else "stop",
        "logprobs": None,
    }
    frame = {"id": f"chatcmpl-{asked.uid}", "created": int(asked.now), "model": asked.body["model"]}
    chunks = tuple(
        {**frame, "object": "chat.completion.chunk", "choices": [each]}
        for each in choice_chunks(choice, () if made else (text,))
    )
    whole = {**frame, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    assert wire.encode is not None
    return wire.encode(asked, ReplyScript(whole=whole, chunks=chunks, usage=_USAGE))
