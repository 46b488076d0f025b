"""Tool runs of OpenAI's SDK: its runner for the Responses API, with the options that a situation needs.

Calls run at once only in a stream, eagerly and without a ledger; a ledger is what a run is resumed from.
"""

from __future__ import annotations

import base64
import functools
import inspect
import json
from contextlib import aclosing
from typing import Any

import openai
import pydantic
from openai import AsyncOpenAI, pydantic_responses_function_tool
from openai.lib.responses_tool_runner import (
    AsyncRegisteredFunction,
    AsyncResponsesToolLedger,
    AsyncResponsesToolRunner,
)

from benchmarks.tool_peers.common import MODEL, TIMEOUT, Done, RunSetup, ToolFunction, main, setting
from benchmarks.tool_peers.scenarios import REASON


@functools.cache
def client() -> AsyncOpenAI:
    """One client for all runs."""
    return AsyncOpenAI(base_url=setting().urls["openai"], api_key="simulated-openai-key", timeout=TIMEOUT)


def image(data: bytes) -> Any:
    return [{"type": "input_image", "image_url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}]


def registered(function: ToolFunction, *, denied: bool) -> AsyncRegisteredFunction:
    """A function with a model of its arguments, which this SDK's users write by hand."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    fields: Any = {each.name: (each.annotation, ...) for each in parameters}
    model = pydantic.create_model(function.__name__, **fields)

    async def execute(arguments: pydantic.BaseModel) -> Any:
        return await function(**dict(arguments))

    return AsyncRegisteredFunction.from_tool(
        pydantic_responses_function_tool(model, name=function.__name__, description=function.__doc__),
        execute=execute,
        independent=True,
        allow_output_override=denied,
    )


class _Ledger:
    """Keeps the last checkpoint from which a run can be resumed."""

    def __init__(self, setup: RunSetup, done: Done) -> None:
        self.setup = setup
        self.done = done

    async def save(self, checkpoint: Any) -> None:
        self.done.kept = len(checkpoint["returned_call_ids"])
        if checkpoint["phase"] == "boundary":
            self.setup.checkpoint.write_text(json.dumps(checkpoint), "utf-8")

    def ledger(self) -> AsyncResponsesToolLedger:
        last = json.loads(self.setup.checkpoint.read_text("utf-8")) if self.setup.resumes else None
        return AsyncResponsesToolLedger("run", self.save, last)


async def run(setup: RunSetup, done: Done) -> None:
    scenario = setup.scenario
    runner = AsyncResponsesToolRunner(
        functions=[registered(each, denied=each.__name__ in scenario.denied) for each in setup.functions]
    )
    options: dict[str, Any] = {}
    if scenario.is_about_concurrency:
        options = {"stream": True, "eager": True}
        done.options = "`stream`, `eager`, `independent`"
    if scenario.crashes or scenario.max_turns:
        options = {"ledger": _Ledger(setup, done).ledger()}
        done.options = "a ledger"
    if scenario.max_turns:
        options["max_steps"] = scenario.max_turns
        done.options = "`max_steps=3`, a ledger"
    if scenario.denied:
        done.options = "`iterate`, `allow_output_override`"
    # A run that is resumed needs a new message, and its old ones are in the ledger.
    text = "Go on." if setup.resumes else setup.prompt
    params: Any = {"model": MODEL, "input": [{"role": "user", "content": text}]}
    async with aclosing(runner.iterate(client(), params, **options)) as turns:
        async for turn in turns:
            calls = [item for item in turn.response.output if item.type == "function_call"]
            if denied := [call for call in calls if call.name in scenario.denied]:
                outputs: Any = [
                    {"type": "function_call_output", "call_id": call.call_id, "output": REASON} for call in denied
                ]
                turn.supply_outputs(outputs)
            if turn.final:
                done.answer = turn.response.output_text


if __name__ == "__main__":
    main(openai.__version__, run, image)
