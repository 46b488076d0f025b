"""Server on 127.0.0.1 that is a model with tools; its reply depends on the conversation alone, so runs can resume."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any, Self

from support.raw_server import DONE, END, STREAM, answer, completion, event, forget_loss

Calls = Sequence[tuple[str, str, dict[str, Any]]]
"""Id, name and arguments of each call."""


class ToolModel:
    """A model that makes these calls in its first turns, and then answers with the results that it was given.

    Args:
        turns: the calls of each turn.
        legacy: whether it makes the first call of a turn in the form that `tools` replaced.
    """

    def __init__(self, *turns: Calls, legacy: bool = False) -> None:
        self._turns = turns
        self._legacy = legacy
        self._connections: set[asyncio.Task[Any]] = set()
        self.requests: list[dict[str, Any]] = []
        self.problems: list[str] = []
        """What a provider would have refused."""
        self.failures: list[int] = []
        """Statuses of the next responses."""
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    def message(self, messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The message that answers a conversation."""
        turn = sum(each["role"] == "assistant" for each in messages)
        if turn < len(self._turns):
            calls = [
                {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
                for call_id, name, arguments in self._turns[turn]
            ]
            made = {"function_call": calls[0]["function"]} if self._legacy else {"tool_calls": calls}
            return {"role": "assistant", "content": f"Turn {turn}.", **made}
        results = [str(each["content"]) for each in messages if each["role"] in ("tool", "function")]
        return {"role": "assistant", "content": "|".join(results)}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        forget_loss(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                request = json.loads(await reader.readexactly(size))
                self.requests.append(request)
                self.problems += problems(request["messages"])
                for part in self._response(request):
                    writer.write(part)
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError, RuntimeError, asyncio.CancelledError):
            pass  # uvloop raises RuntimeError where the peer has disconnected
        finally:
            self._connections.discard(task)
            writer.close()

    def _response(self, request: dict[str, Any]) -> Iterator[bytes]:
        status = self.failures.pop(0) if self.failures else 200
        if status != 200:
            yield answer({"error": {"message": "failed"}}, status)
            return
        message = self.message(request["messages"])
        calls = message.get("tool_calls", [])
        legacy = message.get("function_call")
        reason = "function_call" if legacy else "tool_calls" if calls else "stop"
        if not request.get("stream"):
            body = completion()
            body["choices"][0] |= {"message": message, "finish_reason": reason}
            body["usage"] = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            yield answer(body)
            return
        yield STREAM
        for piece in (message["content"][:3], message["content"][3:]):
            yield event(piece)
        if legacy:
            yield event(choices=[{"index": 0, "delta": {"function_call": legacy}, "finish_reason": None}])
        for index, call in enumerate(calls):
            first = {"index": index, **call, "function": call["function"] | {"arguments": ""}}
            yield event(choices=[{"index": 0, "delta": {"tool_calls": [first]}, "finish_reason": None}])
            arguments = call["function"]["arguments"]
            for piece in (arguments[:3], arguments[3:]):
                rest = {"index": index, "function": {"arguments": piece}}
                yield event(choices=[{"index": 0, "delta": {"tool_calls": [rest]}, "finish_reason": None}])
        yield event(finish_reason=reason)
        yield DONE + END


def problems(messages: Sequence[dict[str, Any]]) -> list[str]:
    """What is wrong with the calls and results of a conversation: providers refuse it where anything is."""
    found: list[str] = []
    open_calls: list[str] = []
    seen: set[str] = set()
    for index, message in enumerate(messages):
        if message["role"] == "function":
            if open_calls.pop(0) != f"function {message['name']}":
                found.append(f"messages[{index}] is the result of another function")
            continue
        if message["role"] == "tool":
            if not open_calls or message["tool_call_id"] != open_calls.pop(0):
                found.append(f"messages[{index}] is the result of another call")
            continue
        if open_calls:
            found.append(f"messages[{index}] comes before the results of {open_calls}")
        open_calls = [call["id"] for call in message.get("tool_calls", [])]
        if "function_call" in message:
            open_calls = [f"function {message['function_call']['name']}"]
            continue
        found += [f"messages[{index}] repeats the id {each!r}" for each in open_calls if not each or each in seen]
        seen.update(open_calls)
    if open_calls:
        found.append(f"no results of {open_calls}")
    return found
