"""Tool runs of pydantic-ai's `Agent`, over OpenAI's chat completions and without its framework parts."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

from openai import AsyncOpenAI
from pydantic_ai import (
    Agent,
    BinaryContent,
    DeferredToolRequests,
    DeferredToolResults,
    Tool,
    ToolDenied,
    UsageLimits,
    capture_run_messages,
)
from pydantic_ai.messages import FunctionToolResultEvent, ModelMessagesTypeAdapter, ToolCallPart, ToolReturnPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.tool_peers.common import MODEL, TIMEOUT, Done, RunSetup, main, setting
from benchmarks.tool_peers.scenarios import REASON

_agents: dict[str, Any] = {}


def agent_of(setup: RunSetup) -> Any:
    """One agent for all runs of a scenario."""
    scenario = setup.scenario
    if scenario.name not in _agents:
        url = setting().urls["openai"]
        openai = AsyncOpenAI(base_url=url, api_key="simulated-openai-key", timeout=TIMEOUT)
        tools = [
            Tool(each, requires_approval=each.__name__ in scenario.denied, timeout=scenario.tool_timeout)
            for each in setup.functions
        ]
        types: Any = [str, DeferredToolRequests] if scenario.denied else str
        model = OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=openai))
        _agents[scenario.name] = Agent(model, tools=tools, output_type=types)
    return _agents[scenario.name]


def image(data: bytes) -> Any:
    return BinaryContent(data, media_type="image/png")


async def run(setup: RunSetup, done: Done) -> None:
    scenario, agent = setup.scenario, agent_of(setup)
    options: dict[str, Any] = {}
    if scenario.max_turns:
        options["usage_limits"] = UsageLimits(request_limit=scenario.max_turns)
        done.options = "`UsageLimits`, `capture_run_messages`"
    if scenario.tool_timeout:
        done.options = "`Tool(timeout=)`"
    with capture_run_messages() as messages:
        if scenario.crashes:
            finished: dict[str, Any] = {}

            async def save(context: Any, events: Any) -> None:
                async for event in events:
                    if isinstance(event, FunctionToolResultEvent):
                        finished[event.part.tool_call_id] = event.part.content
                    history = ModelMessagesTypeAdapter.dump_python(messages, mode="json")
                    open_calls = {part.tool_call_id for part in messages[-1].parts if isinstance(part, ToolCallPart)}
                    own = {name: value for name, value in finished.items() if name in open_calls}
                    saved = {"history": history, "finished": own, "open": list(open_calls - own.keys())}
                    setup.checkpoint.write_text(json.dumps(saved), "utf-8")

            options["event_stream_handler"] = save
            done.options = "`event_stream_handler`, `DeferredToolResults`"
        prompt: str | None = setup.prompt
        if setup.resumes:
            prompt = None
            saved = json.loads(setup.checkpoint.read_text("utf-8"))
            options["message_history"] = ModelMessagesTypeAdapter.validate_python(saved["history"])
            options["deferred_tool_results"] = DeferredToolResults(
                calls=saved["finished"],
                approvals=dict.fromkeys(saved["open"], True),  # which runs them
            )
        try:
            result = await agent.run(prompt, **options)
        finally:
            done.kept = sum(isinstance(part, ToolReturnPart) for message in messages for part in message.parts)
    if isinstance(result.output, DeferredToolRequests):
        done.options = "`requires_approval`, `DeferredToolRequests`"
        answers = {call.tool_call_id: ToolDenied(REASON) for call in result.output.approvals}
        result = await agent.run(
            message_history=result.all_messages(), deferred_tool_results=DeferredToolResults(approvals=answers)
        )
    done.answer = result.output


if __name__ == "__main__":
    main(importlib.metadata.version("pydantic-ai-slim"), run, image)
