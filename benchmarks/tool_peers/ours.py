"""Tool runs of this package: `run_tools`, over OpenAI's chat completions unless the environment names another model."""

from __future__ import annotations

import base64
import functools
import json
import os
from typing import Any

import anycompletion
from anycompletion import AsyncCompletion, ImagePart, ImageUrl, Timeout, ToolMessage
from anycompletion.tools import CallFinished, tool
from benchmarks.tool_peers.common import TIMEOUT, Done, RunSetup, main, setting
from benchmarks.tool_peers.scenarios import REASON


@functools.cache
def client() -> AsyncCompletion:
    """One client for all runs."""
    keys: Any = {"openai": "simulated-openai-key", "anthropic": "simulated-anthropic-key"}
    return AsyncCompletion(base_urls=setting().urls, api_keys=keys, timeout=Timeout(total=TIMEOUT, connect=TIMEOUT))


def image(data: bytes) -> Any:
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return [ImagePart(ImageUrl(url))]


async def run(setup: RunSetup, done: Done) -> None:
    scenario = setup.scenario
    model = os.environ.get("ANYCOMPLETION_TOOL_MODEL", "openai/gpt-4o-mini")
    options: Any = {}
    if scenario.max_turns:
        options["max_turns"] = scenario.max_turns
        done.options = "`max_turns=3`"
    if scenario.tool_timeout:
        options["tool_timeout"] = scenario.tool_timeout
        done.options = "`tool_timeout`"
    if scenario.denied:
        options["approve"] = lambda call: REASON
        done.options = "`approve`"
    if scenario.crashes:
        done.options = "`on_event`, `run.messages`"

        def save(event: object) -> None:
            if isinstance(event, CallFinished):
                setup.checkpoint.write_text(json.dumps([each.to_dict() for each in tools.messages]), "utf-8")

        options["on_event"] = save
    messages: Any = json.loads(setup.checkpoint.read_text("utf-8")) if setup.resumes else setup.prompt
    functions = [tool(needs_approval=each.__name__ in scenario.denied)(each) for each in setup.functions]
    tools: Any = client().run_tools(model, messages, functions, **options)
    try:
        outcome = await tools
    finally:
        done.kept = sum(isinstance(each, ToolMessage) for each in tools.messages)
    done.answer = outcome.text or None


if __name__ == "__main__":
    main(anycompletion.__version__, run, image)
