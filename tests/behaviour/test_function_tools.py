"""Tests of functions as `tools=` of calls: the definition that each provider gets, pickles, batches and routes."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from benchmarks.fuzz.tool_signatures import CANARY, SIGNATURES, Login

from anycompletion import (
    AsyncCompletion,
    ChatRequest,
    InvalidRequestError,
    Message,
    ServiceUnavailableError,
    UnsupportedParameterError,
    UserMessage,
)
from anycompletion.testing import FakeProvider, SimulatorServer, tool_call
from anycompletion.tools import tool
from support.simulated import MODEL_BY_DIALECT, WITH_FUNCTIONS

MODELS = {dialect: model for dialect, model in MODEL_BY_DIALECT.items() if model in WITH_FUNCTIONS}


async def climate(city: Annotated[str, "City and country"], unit: Literal["c", "f"] = "c") -> str:
    """The weather now."""
    return f"{city}: 21 {unit}"


weather = tool(name="weather")(climate)


def rain(city: str) -> bool:
    """Whether it rains there."""
    return city == "Bergen"


def scores(by_name: dict[str, int]) -> None:
    """Has parameters that cannot be strict."""


WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "City and country"},
        "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
    },
    "required": ["city"],
    "additionalProperties": False,
}


def fake() -> FakeProvider:
    return FakeProvider(lambda request: "It rains.", name="*")


def sent_tools(provider: FakeProvider) -> list[Any]:
    body = provider.requests[-1].body
    return list(body["tools"])


def seen_tools(provider: FakeProvider) -> list[Any]:
    """The tools of the last request, as middleware and fakes see it."""
    return list(provider.requests[-1].request.tools or ())


CALLS: dict[str, Callable[[AsyncCompletion, list[Any]], Any]] = {
    "create": lambda client, tools: client.create("openai/gpt-4o", "?", tools=tools),
    "attempt": lambda client, tools: client.attempt("openai/gpt-4o", "?", tools=tools),
    "stream": lambda client, tools: client.stream("openai/gpt-4o", "?", tools=tools).get_final_completion(),
}


async def run_batch(client: AsyncCompletion, tools: list[Any]) -> None:
    async with client.batch([ChatRequest("openai/gpt-4o", "?", tools=tools)]) as run:
        results = [result async for result in run]
    assert results[0].completion is not None


CALLS["batch"] = run_batch


@pytest.mark.parametrize("make", CALLS.values(), ids=CALLS)
async def test_functions_are_tools_of_every_kind_of_call(make: Callable[[AsyncCompletion, list[Any]], Any]) -> None:
    """A kind of call would refuse functions, or send something else than their definitions."""
    provider = fake()
    search = {"type": "web_search"}
    async with AsyncCompletion(providers=[provider]) as client:
        await make(client, [weather, rain, search])
    names = [each["function"]["name"] if "function" in each else each["type"] for each in sent_tools(provider)]
    assert names == ["weather", "rain", "web_search"]
    assert seen_tools(provider)[0].function.parameters == WEATHER


STRICT = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "City and country"},
        "unit": {"anyOf": [{"type": "string", "enum": ["c", "f"]}, {"type": "null"}], "description": 'default "c"'},
    },
    "required": ["city", "unit"],
    "additionalProperties": False,
}
PLAIN = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "City and country"},
        "unit": {"type": "string", "enum": ["c", "f"], "description": 'default "c"'},
    },
    "required": ["city"],
    "additionalProperties": False,
}
OPEN = {
    "type": "object",
    "properties": {"by_name": {"type": "object", "additionalProperties": {"type": "integer"}}},
    "required": ["by_name"],
    "additionalProperties": False,
}

FORMS: dict[str, tuple[str, Any, Any]] = {
    "openai": ("openai/gpt-4o", (STRICT, True), (OPEN, False)),
    "openai_responses": ("openai/responses/gpt-5", (STRICT, True), (OPEN, False)),
    "anthropic": ("anthropic/claude-sonnet-4-5", (PLAIN, None), (OPEN, None)),
    "groq": ("groq/llama-3.3-70b-versatile", (PLAIN, None), (OPEN, None)),
    "cohere": ("cohere/command-a-03-2025", (PLAIN, None), (OPEN, None)),
}
"""Model, and what is sent of each of two tools: the schema and the flag `strict`."""


@pytest.mark.parametrize(("model", "closed", "opened"), FORMS.values(), ids=FORMS)
async def test_tools_are_strict_where_that_changes_no_meaning(model: str, closed: Any, opened: Any) -> None:
    """A provider would get a schema that it refuses, or one that is looser than it can be."""
    provider = fake()
    async with AsyncCompletion(providers=[provider]) as client:
        reply = await client.create(model, "?", tools=[weather, scores])
    found = [each.get("function", each) for each in sent_tools(provider)]
    schemas = [each.get("parameters") or each["input_schema"] for each in found]
    assert [(schema, each.get("strict")) for schema, each in zip(schemas, found, strict=True)] == [closed, opened]
    assert not any("tool" in warning or "strict" in warning for warning in reply.info.warnings)


async def test_the_caller_decides_whether_a_tool_is_strict() -> None:
    """`strict=` of a tool would be ignored."""
    provider = fake()
    strict, loose = tool(strict=True)(rain), tool(strict=False)(climate)
    async with AsyncCompletion(providers=[provider]) as client:
        await client.create("openai/gpt-4o", "?", tools=[strict, loose])
        assert [each["function"]["strict"] for each in sent_tools(provider)] == [True, False]
        assert sent_tools(provider)[1]["function"]["parameters"] == PLAIN
        await client.create("anthropic/claude-sonnet-4-5", "?", tools=[strict, loose])
        assert [each.get("strict") for each in sent_tools(provider)] == [True, None]
        await client.create("mistral/mistral-small", "?", tools=[strict])
        assert sent_tools(provider)[0]["function"]["strict"] is True
        with pytest.raises(UnsupportedParameterError, match=r"tools\[0\].function.strict: Ollama"):
            await client.create("ollama/llama3.2", "?", tools=[strict])


async def test_a_tool_that_cannot_be_strict_at_a_provider_is_refused() -> None:
    """The provider would refuse the request, with a text about its own limits."""

    @tool(strict=True)
    def nothing() -> None: ...

    async with AsyncCompletion(providers=[fake()]) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.create("cohere/command-a-03-2025", "?", tools=[nothing])
    assert str(caught.value) == ("tools[0]: nothing cannot be strict at cohere: there is an object without properties")
    assert caught.value.param == "tools[0].function.strict"


async def test_schemas_that_callers_wrote_are_sent_as_they_are() -> None:
    """A caller could not send a schema in a form that only one provider knows."""
    provider = fake()
    function = {"name": "look", "parameters": {"type": "object", "properties": {"x": {"title": "X", "default": 1}}}}
    async with AsyncCompletion(providers=[provider]) as client:
        await client.create("openai/gpt-4o", "?", tools=[{"type": "function", "function": function}, weather])
    assert sent_tools(provider)[0] == {"type": "function", "function": function}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
async def test_every_signature_is_accepted_by_every_format(model: str) -> None:
    """A provider would refuse the schema of a function."""
    tools = [tool(name=f"tool_{at}")(each.function) for at, each in enumerate(SIGNATURES.values())]
    async with (
        SimulatorServer() as server,
        AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys) as client,
    ):
        assert (await client.create(model, "?", tools=tools)).choices
        for signature in SIGNATURES.values():
            try:
                strict = tool(name="look", strict=True)(signature.function)
                await client.create(model, "?", tools=[strict])
            except InvalidRequestError as error:
                assert "strict" in str(error)  # noqa: PT017 (most are accepted)


async def test_each_target_of_a_route_gets_its_own_form() -> None:
    """A fallback would get the schema in the form of the first target."""

    first, second = FakeProvider(ServiceUnavailableError("down"), name="openai"), FakeProvider("Hi.", name="anthropic")
    async with AsyncCompletion(providers=[first, second], max_retries=0) as client:
        await client.create("openai/gpt-4o", "?", tools=[weather], fallbacks=["anthropic/claude-sonnet-4-5"])
    assert sent_tools(first)[0]["function"]["parameters"] == STRICT
    assert sent_tools(second)[0]["input_schema"] == PLAIN


def test_a_request_with_functions_is_data() -> None:
    """A request could not be pickled for a worker process, or would lose the form that each provider gets."""
    request = ChatRequest("openai/gpt-4o", "?", tools=[weather, rain, {"type": "web_search"}])
    copied = copy.deepcopy(pickle.loads(pickle.dumps(request)))  # noqa: S301 (our own)
    assert copied == request
    assert [type(each).__name__ for each in copied.tools] == ["FunctionTool", "FunctionTool", "dict"]
    assert copied.tools[0].function.portable
    assert request.to_dict()["tools"][0]["function"] == {
        "name": "weather",
        "description": "The weather now.",
        "parameters": WEATHER,
    }


@pytest.mark.parametrize(
    ("tools", "param", "text"),
    [
        ([weather, weather], "tools[1].function.name", "tools[1].function.name: is used twice"),
        (
            [weather, lambda: None],
            "tools[1]",
            "tools[1]: name: '<lambda>' is no name of a tool, which has 1 to 64 of a-z, A-Z, 0-9, _ and -",
        ),
        ([Login], "tools[0]", "tools[0]: function: the class Login is no tool; write a function that returns one"),
        ([7], "tools[0]", None),
        (weather, "tools", None),
    ],
    ids=["two of one name", "lambda", "class", "number", "no list"],
)
async def test_what_is_no_tool_is_refused_before_anything_is_sent(tools: Any, param: str, text: str | None) -> None:
    """The provider would get a request with a tool that no call can reach, or the error would not name its place."""
    provider = fake()
    async with AsyncCompletion(providers=[provider]) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.create("openai/gpt-4o", "?", tools=tools)
    assert caught.value.param == param
    assert text in (None, str(caught.value))
    assert not provider.requests


async def test_parse_takes_no_tools() -> None:
    """A tool would be sent beside the typed reply, and its call be read as the value."""
    async with AsyncCompletion(providers=[fake()]) as client:
        with pytest.raises(TypeError, match="parse has no 'tools'"):
            await client.parse("openai/gpt-4o", "?", dict[str, int], tools=[weather])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def test_no_secret_of_a_function_reaches_a_request_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """A key that is bound to a function, in a default or in the context would go to the provider."""
    tools = [tool(name=f"tool_{at}")(each.function) for at, each in enumerate(SIGNATURES.values())]
    provider = fake()
    with caplog.at_level("DEBUG"):
        async with AsyncCompletion(providers=[provider]) as client:
            for model in FORMS.values():
                await client.create(model[0], "?", tools=tools)
    sent = json.dumps([each.body for each in provider.requests])
    assert "tool_28" in sent
    assert CANARY not in sent
    assert CANARY not in "".join(str(vars(record)) for record in caplog.records)
    assert CANARY not in repr([each.request for each in provider.requests])


async def test_a_loop_of_ones_own_answers_calls() -> None:
    """The results of `RunnableTool.run` could not be sent back to the model."""
    provider = FakeProvider(tool_call("weather", city="Oslo"), "It is 21 degrees.", name="*")
    messages: list[Message] = [UserMessage("Weather in Oslo?")]
    async with AsyncCompletion(providers=[provider]) as client:
        reply = await client.create("openai/gpt-4o", messages, tools=[weather])
        messages.append(reply.choices[0].message)
        for call in reply.choices[0].message.tool_calls or ():
            messages.append((await weather.run(call)).message)
        reply = await client.create("openai/gpt-4o", messages, tools=[weather])
    assert reply.text == "It is 21 degrees."
    assert provider.requests[-1].body["messages"][-1]["content"] == "Oslo: 21 c"
