"""A tool run as the chunks of one reply, which is what browsers and OpenAI's SDKs read; imports no framework."""

from __future__ import annotations

import time
import uuid
from collections import deque
from typing import Any

from .. import ChatCompletionChunk, ChunkChoice, Content, Delta, JsonObject
from ..tools import (
    CallFinished,
    CallStarted,
    ChunkEvent,
    ReasoningDelta,
    RunFinished,
    RunOutcome,
    TextDelta,
    ToolEvent,
    ToolRun,
)
from ..tools.events import JoinedTexts


class RunChunks:
    """The text of a tool run as chunks of one reply, with an id of its own and the model that the run was given.

    The last one has the finish reason of the last turn, but ``stop`` only if the run is finished. Texts of two turns
    have an empty line between them.

    Args:
        run: not started yet.
        tools: whether reasoning, calls, results and how the run ended are in it. Without, readers see none of that.
    """

    def __init__(self, run: ToolRun[Any], *, tools: bool) -> None:
        self._run = run
        self._tools = tools
        self._events = run.events(raw=True)
        self._due: deque[ChatCompletionChunk] = deque()
        # Not those of a turn: a run that goes on from calls has events before its first chunk.
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._texts = JoinedTexts()

    def __aiter__(self) -> RunChunks:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        while not self._due:
            self._add(await anext(self._events))
        return self._due.popleft()

    async def aclose(self) -> None:
        """Closes the run: its request is closed, its tools are cancelled."""
        await self._run.aclose()

    def _add(self, event: ToolEvent) -> None:
        """Makes what is due of one event."""
        match event:
            case ChunkEvent(chunk):
                for choice in chunk.choices:
                    if choice.delta.refusal is not None:
                        self._add_choice(Delta(refusal=choice.delta.refusal))
            case TextDelta() as delta:
                opening = "assistant" if self._texts.is_empty else None
                self._add_choice(Delta(role=opening, content=self._texts.piece(delta)))
            case ReasoningDelta(text):
                if self._tools:
                    self._add_choice(Delta(reasoning_content=text))
            case CallStarted(call, turn):
                self._add_tool_event({"type": "call_started", "turn": turn, "call": call.to_dict()})
            case CallFinished(call, outcome, turn):
                # A call that was refused or denied did not start: this is the first that readers learn of it.
                result = {"content": _plain(outcome.content), "failed": outcome.error is not None}
                ids = {"call_id": call.id, "name": call.function.name}
                self._add_tool_event({"type": "call_finished", "turn": turn, **ids, **result})
            case RunFinished(outcome, turn):
                pending = [{"id": each.id, "name": each.name, "arguments": each.arguments} for each in outcome.pending]
                ended = {"status": outcome.status, "pending": pending}
                self._add_tool_event({"type": "run_finished", "turn": turn, **ended})
                self._add_choice(Delta(), _finish_reason(outcome))
            case _:
                pass  # the end of a turn

    def _add_choice(self, delta: Delta, finish_reason: str | None = None) -> None:
        self._due.append(self._chunk([ChunkChoice(0, delta, finish_reason)]))

    def _add_tool_event(self, event: JsonObject) -> None:
        if self._tools:
            # Readers of OpenAI's format skip chunks without choices, such as those with the usage.
            self._due.append(self._chunk([], {"tool_event": event}))

    def _chunk(self, choices: list[ChunkChoice], extra: JsonObject | None = None) -> ChatCompletionChunk:
        return ChatCompletionChunk(self._id, choices, self._created, self._run.model, extra=extra)


def _finish_reason(outcome: RunOutcome[Any]) -> str:
    """The last turn's; readers take "stop" for a complete answer, so a run that ended earlier has another one."""
    reason = next((choice.finish_reason for choice in outcome.reply.choices), None) or "stop"
    if reason != "stop" or outcome.status == "finished":
        return reason
    return "tool_calls" if outcome.turns and outcome.turns[-1].calls else "length"


def _plain(content: Content) -> object:
    return content if isinstance(content, str) else [part.to_dict() for part in content]
