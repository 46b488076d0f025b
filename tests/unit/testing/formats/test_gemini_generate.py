"""Tests of the simulated Gemini API: requests of odd shapes are answered as Google's server answers them."""

from typing import Any

import aiohttp
import pytest

from anycompletion.testing import SimulatorServer

HI = {"role": "user", "parts": [{"text": "Hi"}]}
TOOLS = [{"functionDeclarations": [{"name": "add"}]}]


async def ask(sim: SimulatorServer, body: dict[str, Any]) -> tuple[int, str]:
    """The status of a response, and its text."""
    url = f"{sim.base_urls['gemini']}/v1beta/models/gemini-2.5-flash:generateContent"
    headers = {"x-goog-api-key": sim.api_keys["gemini"]}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(url, json=body) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("output", [5, ["a"], {"a": 1}, "x"])
async def test_a_result_may_be_any_value(sim: SimulatorServer, output: Any) -> None:
    """A test with a tool whose result is no text would fail with the simulator only."""
    call = {"role": "model", "parts": [{"functionCall": {"name": "add", "args": {}}}]}
    result = {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"output": output}}}]}
    status, _ = await ask(sim, {"contents": [HI, call, result], "tools": TOOLS})
    assert status == 200


async def test_names_that_are_no_texts_are_refused(sim: SimulatorServer) -> None:
    """The simulator would crash in place of refusing the request."""
    config = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [{}]}}
    status, text = await ask(sim, {"contents": [HI], "tools": TOOLS, "toolConfig": config})
    assert status == 400
    assert "allowed_function_names" in text
