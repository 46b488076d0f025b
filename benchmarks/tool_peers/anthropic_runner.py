"""Tool runs of Anthropic's SDK: `beta.messages.tool_runner`, which sends the whole conversation with `thread=False`."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any

import anthropic
from anthropic import AsyncAnthropic, beta_async_tool

from benchmarks.tool_peers.common import TIMEOUT, Done, RunSetup, main, setting


@functools.cache
def client() -> AsyncAnthropic:
    """One client for all runs."""
    return AsyncAnthropic(base_url=setting().urls["anthropic"], api_key="simulated-anthropic-key", timeout=TIMEOUT)


def image(data: bytes) -> Any:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(data).decode()}
    return [{"type": "image", "source": source}]


async def run(setup: RunSetup, done: Done) -> None:
    messages: Any = [{"role": "user", "content": setup.prompt}]
    if setup.resumes:
        messages = json.loads(setup.checkpoint.read_text("utf-8"))
    tools: Any = [beta_async_tool(each) for each in setup.functions]
    limit: Any = {} if setup.scenario.max_turns is None else {"max_iterations": setup.scenario.max_turns}
    if limit:
        done.options = "`max_iterations=3`"
    runner: Any = client().beta.messages.tool_runner(
        model="claude-haiku-4-5", max_tokens=500, messages=messages, tools=tools, thread=False, **limit
    )
    async for message in runner:
        done.answer = "".join(block.text for block in message.content if block.type == "text") or None
        if setup.scenario.crashes:  # what there is before the tools of this reply run
            setup.checkpoint.write_text(json.dumps(messages, default=lambda block: block.to_dict()), "utf-8")
        results = await runner.generate_tool_call_response()
        if results is not None:
            done.kept += len(results["content"])
            messages += [message.to_param(), results]


if __name__ == "__main__":
    main(anthropic.__version__, run, image)
