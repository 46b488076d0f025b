"""The table of invalid input: keyword of `create`, value, and the place that the error names.

`test_request_checks` checks the rows that need no provider; `test_bad_input` makes the calls.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import pathlib
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import attrs

from anycompletion import ConfigurationError, InvalidRequestError, Secret, Timeout
from anycompletion.records import (
    AssistantMessage,
    CustomMessage,
    CustomTool,
    FunctionDefinition,
    FunctionMessage,
    FunctionTool,
    ImagePart,
    ImageUrl,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from support.simulated import SIMULATED

NAN, INF = math.nan, math.inf
MODEL = "openai/gpt-4o"
KEY = "sk-invented-0123456789"


class Bad(NamedTuple):
    """An invalid call, which must be refused before anything is sent."""

    name: str
    """The keyword of `create`."""
    value: Any
    param: str | None
    """`.param` of the error; None if the error is not about a parameter."""
    others: Mapping[str, Any] = {}
    """The call's other arguments."""
    late: bool = False
    """Whether the value is only invalid for a provider, its format or its key, so that validation accepts it."""
    error: type[Exception] = InvalidRequestError


def bad(name: str, *values: Any, at: str = "", **more: Any) -> list[Bad]:
    """One row per value, all refused at the same place: the parameter and the path `at` below it."""
    return [Bad(name, value, name + at, **more) for value in values]


# --- building blocks ------------------------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    """Lists within lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def nested_objects(depth: int) -> dict[str, Any]:
    """Objects within objects."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


CYCLE: dict[str, Any] = {}
CYCLE["self"] = [CYCLE]
SELF_LIST: list[Any] = []
SELF_LIST.append(SELF_LIST)
SELF_PART = TextPart("x")
SELF_PART.extra["self"] = SELF_PART


def user(content: Any, **more: Any) -> list[dict[str, Any]]:
    """A list of one user message."""
    return [{"role": "user", "content": content, **more}]


def assistant(**members: Any) -> list[dict[str, Any]]:
    """A list of one assistant message."""
    return [{"role": "assistant", **members}]


def image(url: Any, **more: Any) -> list[dict[str, Any]]:
    """A list of one user message with an image."""
    return user([{"type": "image_url", "image_url": {"url": url, **more}}])


def tool(**function: Any) -> list[dict[str, Any]]:
    """A list of one tool."""
    return [{"type": "function", "function": function}]


def schema(value: Any) -> dict[str, Any]:
    """A response format with a JSON schema."""
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": value}}


def timeout(name: str, value: Any) -> Timeout:
    """A `Timeout` with one of its limits."""
    return Timeout(**{name: value})


def generator() -> Iterator[dict[str, str]]:
    """An iterator of messages."""
    yield {"role": "user", "content": "x"}


class Role(enum.StrEnum):
    """An enum whose members are texts."""

    USER = "user"
    CRITIC = "critic"


class Level(enum.Enum):
    """An enum whose members are not texts themselves."""

    LOW = "low"
    MANY = 3
    PAIR = ("a", 1)
    NOTHING = None
    ODD = frozenset({1})


class Text(str):
    """A subclass of str."""

    __slots__ = ()


class Number(float):
    """A subclass of float."""


class Count(int):
    """A subclass of int."""


class Pair(NamedTuple):
    """A row_ids tuple."""

    left: Any
    right: Any


@dataclass
class Data:
    """A dataclass."""

    name: Any = "x"
    size: Any = 1
    inner: Any = field(default=None)


@attrs.define
class Attrs:
    """An attrs class."""

    name: Any = "x"
    size: Any = 1
    inner: Any = None


class Broken(dict[str, Any]):
    """A mapping whose methods raise."""

    def __iter__(self) -> Iterator[str]:
        raise LookupError

    def keys(self) -> Any:
        """Raises."""
        raise LookupError

    def items(self) -> Any:
        """Raises."""
        raise LookupError


F = {"name": "f"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

# --- messages -------------------------------------------------------------------------------------------------------

MESSAGES: list[Bad] = [
    *bad("messages", [], (), {"role": "user", "content": "x"}, UserMessage("x"), 5, None, b"x", {1, 2}, generator()),
    *bad("messages", iter([]), range(3), Ellipsis, Data(), types.SimpleNamespace(role="user")),
    *bad("messages", ["x"], [None], [[]], SELF_LIST, [TextPart("x")], [5], [Data()], [b"x"], at="[0]"),
    *bad("messages", [UserMessage("x"), 5], [UserMessage("x"), generator()], at="[1]"),
    *bad("messages", [Broken(role="user")], [nested(100_000)], [{"role": "user", "content": "x", 5: 6}], at="[0]"),
    # roles
    *bad("messages", [{}], [{"content": "x"}], [{"role": None, "content": "x"}], at="[0].role"),
    *bad("messages", [{"role": "", "content": "x"}], [{"role": 5, "content": "x"}], at="[0].role"),
    *bad("messages", [{"role": ["user"], "content": "x"}], [{"role": {}, "content": "x", "y": 1}], at="[0].role"),
    *bad("messages", [{"role": b"user", "content": "x"}], [{"role": Level.MANY, "content": "x"}], at="[0].role"),
    *bad("messages", [UserMessage("x", role=5)], at="[0].role"),  # type: ignore[arg-type]
    # contents
    *bad(
        "messages", [{"role": "user"}], user(None), user(5), user({}), user(b"x"), user(generator()), at="[0].content"
    ),
    *bad("messages", user(True), user(Data()), user({"a"}), user(1.5), at="[0].content"),
    *bad("messages", [UserMessage(5)], [{"role": "tool", "tool_call_id": "c"}], at="[0].content"),  # type: ignore[arg-type]
    *bad("messages", [ToolMessage({"a": 1}, "c")], at="[0].content"),  # type: ignore[arg-type]
    *bad("messages", [{"role": "function", "name": "f"}], assistant(content=5), at="[0].content"),
    *bad("messages", [FunctionMessage([TextPart("x")], "f")], at="[0].content"),  # type: ignore[arg-type]
    *bad("messages", user(["x"]), user([None]), user([UserMessage("x")]), user(SELF_LIST), at="[0].content[0]"),
    *bad("messages", user([Broken(type="text")]), user([{"type": "text", "text": "x", 5: 1}]), at="[0].content[0]"),
    *bad("messages", user([SELF_PART]), user([Attrs()]), at="[0].content[0]"),
    *bad(
        "messages",
        user([{}]),
        user([{"text": "x"}]),
        user([{"type": 5}]),
        user([{"type": ""}]),
        at="[0].content[0].type",
    ),
    *bad("messages", user([{"type": "text"}]), user([{"type": "text", "text": None}]), at="[0].content[0].text"),
    *bad("messages", user([{"type": "text", "text": "x"}, {"type": "text", "text": 5}]), at="[0].content[1].text"),
    *bad("messages", user([{"type": "image_url"}]), at="[0].content[0].image_url"),
    *bad("messages", user([{"type": "image_url", "image_url": ["u"]}]), at="[0].content[0].image_url"),
    *bad("messages", user([ImagePart(ImageUrl(5, bare=True))]), at="[0].content[0].image_url.url"),  # type: ignore[arg-type]
    *bad("messages", user([{"type": "image_url", "image_url": {}}]), at="[0].content[0].image_url.url"),
    *bad("messages", image(5), image(None), image(b"x"), at="[0].content[0].image_url.url"),
    *bad("messages", user([ImagePart(ImageUrl("u", 5))]), at="[0].content[0].image_url.detail"),  # type: ignore[arg-type]
    *bad(
        "messages",
        user([{"type": "input_audio", "input_audio": {"data": "x"}}]),
        at="[0].content[0].input_audio.format",
    ),
    *bad("messages", user([{"type": "file", "file": {"file_id": 5}}]), at="[0].content[0].file.file_id"),
    *bad("messages", user([{"type": "text", "text": "x", "y": object()}]), at="[0].content[0].y"),
    *bad("messages", user([{"type": "video", "y": {"z": [1, NAN]}}]), at="[0].content[0].y.z[1]"),
    # names
    *bad("messages", user("x", name=5), user("x", name=""), user("x", name="a b"), at="[0].name"),
    *bad("messages", user("x", name="n" * 65), user("x", name="a\n"), user("x", name="Zoë"), at="[0].name"),
    *bad("messages", user("x", name="a.b"), user("x", name="<a>"), user("x", name="🦊"), at="[0].name"),
    *bad("messages", [{"role": "system", "content": "x", "name": "a b"}], at="[0].name"),
    *bad("messages", [{"role": "developer", "content": "x", "name": "a/b"}], at="[0].name"),
    *bad("messages", [UserMessage("x", "a b")], [{"role": "function", "content": "x"}], at="[0].name"),
    *bad("messages", [UserMessage("x", 5)], at="[0].name"),  # type: ignore[arg-type]
    # other members
    *bad("messages", [UserMessage("x", extra={"y": object()})], [UserMessage("x", extra={"y": NAN})], at="[0].y"),
    *bad("messages", user("x", y={1, 2}), user("x", y=b"z"), [{"role": "critic", "y": object()}], at="[0].y"),
    *bad("messages", [CustomMessage("critic", extra={"y": 1j})], at="[0].y"),
    *bad("messages", user("x", y=CYCLE), at="[0]"),
    *bad("messages", assistant(refusal=5), at="[0].refusal"),
    *bad("messages", assistant(audio="a"), at="[0].audio"),
    *bad(
        "messages",
        assistant(audio={"expires_at": "soon"}),
        assistant(audio={"expires_at": True}),
        at="[0].audio.expires_at",
    ),
    *bad("messages", assistant(annotations="x"), at="[0].annotations"),
    *bad("messages", assistant(annotations=[{}]), at="[0].annotations[0].type"),
    *bad("messages", assistant(thinking_blocks={}), at="[0].thinking_blocks"),
    *bad("messages", assistant(thinking_blocks=["x"]), at="[0].thinking_blocks[0]"),
    *bad("messages", assistant(thinking_blocks=[{}, {"a": object()}]), at="[0].thinking_blocks[1].a"),
    *bad("messages", assistant(reasoning_details=[{"a": NAN}]), at="[0].reasoning_details[0].a"),
    *bad("messages", assistant(reasoning_content=5), at="[0].reasoning_content"),
    *bad("messages", assistant(provider_specific_fields=[]), at="[0].provider_specific_fields"),
    *bad("messages", assistant(provider_specific_fields={"a": {5j}}), at="[0].provider_specific_fields.a"),
    # calls and their results
    *bad("messages", assistant(tool_calls=5), assistant(tool_calls=""), assistant(tool_calls={}), at="[0].tool_calls"),
    *bad("messages", assistant(tool_calls=iter([CALL])), at="[0].tool_calls"),
    *bad("messages", assistant(tool_calls=[None]), at="[0].tool_calls[0]"),
    *bad("messages", assistant(tool_calls=[CALL, "f"]), at="[0].tool_calls[1]"),
    *bad("messages", assistant(tool_calls=[CALL | {"id": 5}]), at="[0].tool_calls[0].id"),
    *bad("messages", [AssistantMessage(tool_calls=[ToolCall(5)])], at="[0].tool_calls[0].id"),  # type: ignore[arg-type]
    *bad("messages", assistant(tool_calls=[{"type": "function", "function": F}]), at="[0].tool_calls[0].id", late=True),
    *bad("messages", assistant(tool_calls=[CALL | {"id": ""}]), at="[0].tool_calls[0].id", late=True),
    *bad("messages", assistant(tool_calls=[CALL | {"function": "f"}]), at="[0].tool_calls[0].function"),
    *bad("messages", assistant(tool_calls=[CALL | {"function": {}}]), at="[0].tool_calls[0].function.name"),
    *bad(
        "messages",
        assistant(tool_calls=[CALL | {"function": {"name": "f", "arguments": {"a": 1}}}]),
        at="[0].tool_calls[0].function.arguments",
    ),
    *bad("messages", assistant(function_call={"arguments": "{}"}), at="[0].function_call.name"),
    *bad("messages", [{"role": "tool", "content": "x"}], at="[0].tool_call_id", late=True),
    *bad("messages", [{"role": "tool", "content": "x", "tool_call_id": ""}], at="[0].tool_call_id", late=True),
    *bad("messages", [{"role": "tool", "content": "x", "tool_call_id": None}], at="[0].tool_call_id"),
    *bad("messages", [{"role": "tool", "content": "x", "tool_call_id": 5}], at="[0].tool_call_id"),
]

_FILE = "[0].content[0].file.file_data"
IMAGES: list[Bad] = [
    # Malformed data URLs.
    *bad(
        "messages",
        *map(
            image,
            (
                "data:image/png;base64,!!!",
                "data:image/png;base64,QUJD=",
                "data:image/png;base64,QUI=QUI=",
                "data:image/png;base64,QUJDR",
                "data:image/png;base64,Q===",
                "data:image/png;base64,=",
                "data:image/png;base64,QUJD\0",
                "data:image/png;base64,QÜJD",
                "data:image/png;base64,QUJD-_8=",
                "data:image/png;base64,QUJD%ZZ",
                f"data:image/png;base64,{PIXEL[:-3]}",
                f"data:image/png;base64,{'QUJD' * 50_000}*{'QUJD' * 50_000}",
                "DATA:image/PNG;charset=x; BASE64 ,?",
                "data:image/png;base64",
                "data:",
                "data:image/png",
            ),
        ),
        at="[0].content[0].image_url.url",
    ),
    *bad("messages", user([{"type": "image_url", "image_url": "data:;base64,*"}]), at="[0].content[0].image_url"),
    *bad("messages", user([ImagePart(ImageUrl("data:;base64,*"))]), at="[0].content[0].image_url.url"),
    *bad("messages", user([ImagePart(ImageUrl("data:;base64,*", bare=True))]), at="[0].content[0].image_url"),
    *bad("messages", user([{"type": "file", "file": {"file_data": "data:;base64,*"}}]), at=_FILE),
]

# --- model ----------------------------------------------------------------------------------------------------------

_VERSION = "0123456789abcdef" * 4
AZURE = {"api_version": "2024-10-21"}
"""Options with which the deployment's name is part of the path."""

MODELS: list[Bad] = [
    *bad("model", None, 5, b"gpt-4o", 1.5, True, {"m"}, {}, Data(), "", " \t", "m" * 513),
    *bad("model", "openai/gpt\r\nX: y", "openai/gpt\n", "openai/gpt\0", "openai/gpt\x7f", "openai/gpt\x1b[1m"),
    *bad("model", "openai/gpt\ud800"),
    *bad("model", "my-model", "no-such-provider/m", "openai/", "openai/ ", "/m", "?", late=True),
    *bad("model", "a prompt in place of the model", late=True),
    *bad("model", "azure/.", "azure/..", others=AZURE, late=True),
    *bad(
        "model",
        *(
            f"replicate/{name}"
            for name in (
                "llama",
                "a/b/c",
                "a/..",
                "../../v1/predictions",
                "./b",
                "a/.",
                "/b",
                "a/",
                "a//b",
                "a/b:",
                "a/b:short",
                f"a/b:{'g' * 64}",
                f"a/b:{_VERSION}/x",
                f"a/b:{_VERSION}0",
                "a b/c",
                "a/b?x=y",
                "a/b#c",
                "a/%2e%2e",
                "a\\b/c",
                "é/b",
                "a/b;c",
                "a/b&c",
                "deployments/a/..",
                f"deployments/a/b:{_VERSION}",
                "a@b/c",
            )
        ),
        late=True,
    ),
    *bad("provider", 5, b"x", [], True, Data()),
    *bad("provider", "no-such-provider", "", "OpenAI", "https://openai.com", late=True),
]

# --- numbers, flags and texts ---------------------------------------------------------------------------------------

_ODD_NUMBERS: tuple[Any, ...] = (
    True,
    False,
    "1",
    "",
    NAN,
    INF,
    -INF,
    [],
    {},
    1j,
    b"1",
    object(),
    decimal.Decimal(1),
    Level.LOW,
)
_SECOND = datetime.timedelta(seconds=1)

NUMBERS: list[Bad] = [
    *(
        row
        for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty")
        for row in bad(name, *_ODD_NUMBERS, Number(NAN))
    ),
    *bad("temperature", -0.1, 2.1, 10**400, -(10**5000), late=True),
    *bad("top_p", -0.1, 1.1, 5, late=True),
    *bad("presence_penalty", 2.1, -2.1, late=True),
    *bad("frequency_penalty", 2.1, -3, late=True),
    *(
        row
        for name in ("n", "max_tokens", "max_completion_tokens", "seed", "top_logprobs", "max_retries")
        for row in bad(name, *_ODD_NUMBERS, 1.5, 1.0, 10**5000)
    ),
    *bad("n", 0, -1, 1025, 10**30),
    *bad("n", 129, late=True),
    *bad("max_tokens", -1, 2**63),
    *bad("max_tokens", 0, late=True),
    *bad("max_completion_tokens", -1, 2**63),
    *bad("max_completion_tokens", 0, late=True),
    *bad("seed", 2**63, -(2**63) - 1),
    *bad("top_logprobs", -1, 1025),
    *bad("top_logprobs", 21, late=True),
    *bad("max_retries", -1, 101),
    *(
        row
        for name in ("parallel_tool_calls", "store", "azure", "verbose", "fill_choices", "keep_text")
        for row in bad(name, 0, 1, "true", "", [], 1.0, b"1", Level.LOW)
    ),
    *bad("logprobs", "true", "", [], 1.0, b"1", Level.LOW, -1),
    *bad("logprobs", 5, late=True),
    *(
        row
        for name in ("timeout", "force_timeout", "forceTimeout")
        for row in bad(name, 0, 0.0, -1, -0.5, NAN, -INF, True, "5", b"5", [5], {}, _SECOND, object())
    ),
    *(
        row
        for limit in ("total", "connect", "first_chunk", "idle")
        for row in bad("timeout", *(timeout(limit, value) for value in (0, -1.5, NAN, True, "5")), at=f".{limit}")
    ),
    *bad("force_timeout", 5, others={"timeout": 5}),
    *bad("azure", True, others={"provider": "openai"}),
    *bad("on_unsupported", "ignore", "", "Raise", 5, True, ["warn"], Level.LOW),
    *bad("logger_fn", 5, "print", [], {}),
]

TEXTS: list[Bad] = [
    *(
        row
        for name in (
            "user",
            "reasoning_effort",
            "service_tier",
            "verbosity",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
        )
        for row in bad(name, 5, b"x", ["x"], True, 1.5, {}, Level.MANY)
    ),
    *bad("stop", "", [], (), [""], ["a", ""], 5, {"a"}, b"a", generator(), True, {"a": 1}, Level.MANY),
    *bad("stop", ["a", 5], ("a", b"b"), at="[1]"),
    *bad("stop", [None], [["a"]], at="[0]"),
    *bad("stop", ["a", "b", "c", "d", "e"], late=True),
    *bad("logit_bias", [], "x", 5, {"word": 1}, {"": 1}, {"1.5": 1}, {"١": 1}, {1.5: 1}, {True: 1}, {None: 1}),
    *bad("logit_bias", {"5" * 30: 1}, {10**5000: 1}, {b"5": 1}, {(5,): 1}, Broken()),
    *bad("logit_bias", {5: 101}, {5: -100.5}, {"5": NAN}, {"5": INF}, {"5": True}, {"5": "1"}, {5: None}, at=".5"),
    *bad("logit_bias", {"5": 10**400}, {5: 1, "5": 1}, {"5": [1]}, at=".5"),
    *bad("modalities", "text", {"text"}, 5, {"text": 1}),
    *bad("modalities", ["text", 5], at="[1]"),
]

# --- tools and formats ----------------------------------------------------------------------------------------------

_PARAMETERS = "[0].function.parameters"

TOOLS: list[Bad] = [
    *bad("tools", {}, "f", 5, generator(), {"f"}, FunctionTool(FunctionDefinition("f")), len),
    *bad("tools", [5], [None], ["f"], [len], [FunctionDefinition("f")], [Data()], [[]], at="[0]"),
    *bad("tools", [{}], [{"type": "function"}], [{"type": "function", "function": "f"}], at="[0].function"),
    *bad("tools", [{"type": 5}], [{"type": ["function"]}], at="[0].type"),
    *bad("tools", [{"type": "web", "x": object()}], [CustomTool("web", extra={"x": INF})], at="[0].x"),
    *bad("tools", tool(), tool(name=5), tool(name=""), tool(name=None), tool(name="a b"), at="[0].function.name"),
    *bad("tools", tool(name="a\n"), tool(name="é"), tool(name="a.b"), tool(name="a/b"), at="[0].function.name"),
    *bad("tools", tool(name="f" * 129), [FunctionTool(FunctionDefinition("a b"))], at="[0].function.name"),
    *bad("tools", tool(name="f" * 65), at="[0].function.name", late=True),
    *bad("tools", tool(**F) + tool(**F), at="[1].function.name"),
    *bad("tools", tool(**F, description=5), at="[0].function.description"),
    *bad("tools", tool(**F, strict="yes"), tool(**F, strict=1), at="[0].function.strict"),
    *bad("tools", tool(**F, parameters=[]), tool(**F, parameters="{}"), tool(**F, parameters=dict), at=_PARAMETERS),
    *bad("tools", tool(**F, parameters={"x": {1.5: 1}}), at=f"{_PARAMETERS}.x"),
    *bad("tools", tool(**F, parameters=CYCLE), tool(**F, parameters={"x": nested(100)}), at=_PARAMETERS),
    *bad("tools", tool(**F, parameters=nested_objects(101)), at=_PARAMETERS),
    *bad("tools", tool(**F, parameters={"type": "array"}), at=f"{_PARAMETERS}.type"),
    *bad("tools", tool(**F, parameters={"type": ["object"]}), at=f"{_PARAMETERS}.type"),
    *bad("tools", tool(**F, parameters={"x": {"enum": {1}}}), at=f"{_PARAMETERS}.x.enum"),
    *bad("tools", tool(**F, x=object()), at="[0].function.x"),
    *bad("functions", {}, "f", generator()),
    *bad("functions", [5], [FunctionTool(FunctionDefinition("f"))], at="[0]"),
    *bad("functions", [{}], [{"name": "a b"}], [{"name": "f" * 129}], at="[0].name"),
    *bad("functions", [{"name": "f" * 65}], at="[0].name", late=True),
    *bad("functions", [F, F], at="[1].name"),
    *bad("functions", [{"name": "f", "parameters": {"type": "string"}}], at="[0].parameters.type"),
    *bad("functions", [{"name": "f", "parameters": {"x": object()}}], at="[0].parameters.x"),
    # choices
    *bad("tool_choice", 5, [], True, ("auto",), {"function": {"name": "absent"}}),
    *bad("tool_choice", "any", "", "AUTO", "f", others={"tools": tool(**F)}, late=True),
    *bad("tool_choice", {}, {"type": 5}, {"type": ["function"]}, {"name": "f"}, at=".type"),
    *bad("tool_choice", {"type": "function"}, {"type": "function", "function": "f"}, {"type": "custom", "custom": {}}),
    *bad("tool_choice", {"type": "function", "function": {"name": 5}}),
    *bad("tool_choice", {"type": "function", "function": {"name": "absent"}}, others={"tools": tool(**F)}),
    *bad("tool_choice", {"type": "function", "function": {"name": "absent"}}),
    *bad("tool_choice", {"type": "custom", "custom": {"name": "f"}}, others={"tools": [{"type": "web", "name": "f"}]}),
    *bad("tool_choice", {"type": "x", "y": object()}, at=".y"),
    *bad("function_call", 5, {}, {"name": 5}, {"name": "absent"}, []),
    *bad("function_call", "required", "f", others={"functions": [F]}, late=True),
    *bad("function_call", {"name": "absent"}, others={"functions": [F]}),
    # formats
    *bad("response_format", "json", [], dict, 5, True, Level.LOW),
    *bad("response_format", {}, {"type": 5}, {"type": None}, at=".type"),
    *bad("response_format", {"type": "json_schema"}, {"type": "json_schema", "json_schema": "x"}, at=".json_schema"),
    *bad("response_format", {"type": "json_schema", "json_schema": {"schema": {}}}, at=".json_schema.name", late=True),
    *bad("response_format", {"type": "json_schema", "json_schema": {"name": 5, "schema": {}}}, at=".json_schema.name"),
    *bad("response_format", {"type": "json_schema", "schema": {}}, at=".json_schema", late=True),
    *bad("response_format", {"type": "json_schema", "json_schema": {"name": "x"}}, at=".json_schema.schema", late=True),
    *bad("response_format", schema(True), schema("{}"), schema(None), at=".json_schema.schema"),
    *bad("response_format", schema(CYCLE), schema(nested_objects(101)), schema({"x": nested(100)})),
    # options of streams
    *bad("stream_options", True, 5, "usage", [("include_usage", True)]),
    *bad("stream_options", {"x": object()}, at=".x"),
]

# --- values inside JSON -------------------------------------------------------------------------------------------

UNSERIALIZABLE: list[Any] = [
    NAN,
    INF,
    -INF,
    Number(NAN),
    b"x",
    bytearray(b"x"),
    memoryview(b"x"),
    {1},
    frozenset(),
    object(),
    1j,
    decimal.Decimal("1.5"),
    datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    pathlib.PurePosixPath("x"),
    range(3),
    generator(),
    iter([]),
    {}.items(),
    len,
    Data,
    math,
    Ellipsis,
    NotImplemented,
    Secret("sk"),
    types.SimpleNamespace(a=1),
    Level.ODD,
    Broken(a=1),
    {1.5: 1},
    {None: 1},
    {True: 1},
    {b"a": 1},
    {("a",): 1},
    {1: "a", "1": "b"},
    {Level.LOW: 1, "low": 2},
]
"""Values that are not JSON-serializable; the error names their place."""

TOO_DEEP: list[Any] = [CYCLE, SELF_LIST, SELF_PART, nested(501), nested_objects(501), nested(100_000)]
"""Values that are nested too deeply, so that the error names the parameter only."""

_PLACES: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("metadata", ".a.b", lambda value: {"a": {"b": value}}),
    ("extra_body", ".a[1]", lambda value: {"a": [1, value]}),
    ("messages", "[0].y", lambda value: user("x", y=value)),
    ("messages", "[0].content[0].y", lambda value: user([{"type": "text", "text": "x", "y": value}])),
    ("tools", f"{_PARAMETERS}.a", lambda value: tool(**F, parameters={"a": value})),
    ("response_format", ".json_schema.schema.a", lambda value: schema({"a": value})),
    ("prediction", ".x.inner.inner.a", lambda value: {"x": Data(inner=Attrs(inner={"a": value}))}),
]
"""Parameter, path of a value inside its argument, and function from the value to the argument."""

_OBJECTS = (
    "thinking",
    "audio",
    "prediction",
    "metadata",
    "prompt_cache_options",
    "web_search_options",
    "moderation",
    "extra_body",
)

JSON: list[Bad] = [
    *(Bad(name, wrap(value), name + path) for name, path, wrap in _PLACES for value in UNSERIALIZABLE),
    *(
        Bad(name, wrap(value), name)
        for name, _, wrap in _PLACES
        if name not in ("messages", "tools")
        for value in TOO_DEEP
    ),
    *(Bad("messages", user("x", y=value), "messages[0]") for value in TOO_DEEP),
    *(Bad("tools", tool(**F, parameters={"a": value}), f"tools{_PARAMETERS}") for value in TOO_DEEP),
    *(row for name in _OBJECTS for row in bad(name, 5, "x", [], [("a", 1)], CYCLE, nested(100_000), b"{}", Level.LOW)),
    *bad("metadata", {1.5: "a"}, {True: "a"}, {b"a": "a"}, {1: "a", "1": "b"}, Broken()),
    *bad("metadata", {"k" * 500: object()}, at="." + "k" * 110 + "…"),
    *bad("metadata", {"a\nb": object()}, {"a\u202eb": object()}, at=".a?b"),
    *bad("prediction", {"content": [TextPart("x", extra={"y": object()})]}, at=".content[0].y"),
    *bad("metadata", {"a": 10**5000}, at=".a", late=True),
    *bad("extra_body", {"a": [-(10**5000)]}, at=".a[0]", late=True),
    *(Bad("extra_body", {name: "x"}, f"extra_body.{name}") for name in ("model", "messages", "stream")),
    *bad("extra_body", {"\ud800": object()}, at=".?"),
]

# --- lone surrogates ------------------------------------------------------------------------------------------------

SURROGATE = "a \ud83d b"
"""A text with half an emoji: a lone surrogate."""

WITH_SURROGATES: list[Bad] = [
    *bad("messages", SURROGATE, at="[0].content", late=True),
    *bad("messages", [*user("x"), *user("x"), *user("x"), *user(SURROGATE)], at="[3].content", late=True),
    *bad("messages", user([{"type": "text", "text": SURROGATE}]), at="[0].content[0].text", late=True),
    *bad("messages", [UserMessage([TextPart(SURROGATE)])], at="[0].content[0].text", late=True),
    *bad("messages", image(f"https://x/{SURROGATE}"), at="[0].content[0].image_url.url", late=True),
    *bad("messages", assistant(content=SURROGATE), at="[0].content", late=True),
    *bad("messages", assistant(tool_calls=[CALL | {"id": SURROGATE}]), at="[0].tool_calls[0].id", late=True),
    *bad("messages", [{"role": SURROGATE, "content": "x"}], at="[0].role", late=True),
    *bad("messages", user("x", y={"z": [SURROGATE]}), at="[0].y.z[0]", late=True),
    *bad("messages", [{"role": "user", "content": "x", SURROGATE: 1}], at="[0]", late=True),
    *bad("user", SURROGATE, late=True),
    *bad("stop", SURROGATE, late=True),
    *bad("stop", ["a", SURROGATE], at="[1]", late=True),
    *bad("tools", tool(**F, description=SURROGATE), at="[0].function.description", late=True),
    *bad("tools", tool(**F, parameters={"x": {"enum": ["a", SURROGATE]}}), at=f"{_PARAMETERS}.x.enum[1]", late=True),
    *bad("tools", tool(**F, parameters={"x": {SURROGATE: 1}}), at=f"{_PARAMETERS}.x", late=True),
    *bad("functions", [{"name": "f", "description": SURROGATE}], at="[0].description", late=True),
    *bad("response_format", schema({"title": SURROGATE}), at=".json_schema.schema.title", late=True),
    *bad("metadata", {"a": SURROGATE}, at=".a", late=True),
    *bad("metadata", {SURROGATE: "a"}, late=True),
    *bad("prediction", {"type": "content", "content": SURROGATE}, at=".content", late=True),
    *bad("extra_body", {"a": {"b": SURROGATE}}, at=".a.b", late=True),
    *bad("safety_identifier", SURROGATE, late=True),
    *bad("prompt_cache_key", SURROGATE, late=True),
]

OTHER_MODELS = tuple(model for provider, model in SIMULATED.items() if provider != "openai")
"""One model of each of the other simulated providers."""

OTHERS: list[Bad] = [
    row
    for model in OTHER_MODELS
    for row in (
        *bad("messages", SURROGATE, at="[0].content", others={"model": model}, late=True),
        *bad(
            "messages",
            user([{"type": "text", "text": SURROGATE}]),
            at="[0].content[0].text",
            others={"model": model},
            late=True,
        ),
        *bad("extra_body", {"a": [SURROGATE]}, at=".a[0]", others={"model": model}, late=True),
        *bad("messages", user({}), at="[0].content", others={"model": model}),
        *bad("temperature", NAN, others={"model": model}),
        *bad("extra_headers", {"a": "x\r\ny: z"}, at=".a", others={"model": model}),
        *bad("tools", tool(name="f" * 129), at="[0].function.name", others={"model": model}),
    )
]

# --- headers, queries, keys, addresses ------------------------------------------------------------------------------

HEADERS: list[Bad] = [
    *bad("extra_headers", [("a", "b")], "a: b", 5, {"": "x"}, {"a b": "x"}, {"a:": "x"}, {"a\r\n": "x"}, {"é": "x"}),
    *bad("extra_headers", {5: "x"}, {b"a": "x"}, {None: "x"}, {"a\0": "x"}, {"(a)": "x"}, {"\ud800": "x"}, Broken()),
    *bad("extra_headers", {"a": 5}, {"a": b"x"}, {"a": None}, {"a": ["x"]}, {"a": Secret("x")}, at=".a"),
    *bad("extra_headers", {"a": "x\r\ny: z"}, {"a": "x\n"}, {"a": "\nx"}, {"a": "x\ry"}, {"a": "x\0"}, at=".a"),
    *bad("extra_headers", {"a": "\x1b[1m"}, {"a": "\x7f"}, {"a": "€"}, {"a": "\ud800"}, {"a": "模型"}, at=".a"),
    *(
        Bad("extra_headers", {name: "x"}, f"extra_headers.{name}")
        for name in ("Host", "content-length", "Transfer-Encoding", "CONNECTION")
    ),
    *bad("extra_query", [("a", "b")], "a=b", 5, {5: "a"}, {None: "a"}, {"\udfff": "a"}, Broken()),
    *bad("extra_query", {"a": 5}, {"a": None}, {"a": b"x"}, {"a": ["x"]}, {"a": True}, {"a": "\ud800"}, at=".a"),
    *(Bad("cache", mode, None, late=True, error=ConfigurationError) for mode in ("use", "refresh", "skip", "only")),
    *bad("fallbacks", MODEL, 5, True, {"a": MODEL}, Broken()),
    *bad("fallbacks", [5], [b"x"], [None], (Broken(),), at="[0]", late=True),
    *bad("tags", [("a", "b")], "team", 5, {5: "a"}, {None: "a"}, {"\udfff": "a"}, Broken()),
    *bad("tags", {"a": 5}, {"a": None}, {"a": b"x"}, {"a": ["x"]}, {"a": True}, {"a": "\ud800"}, at=".a"),
    *(
        row
        for name in ("organization", "project", "api_version")
        for row in bad(name, 5, b"x", [], True, "a\nb", "a\r\nX: y", "a\0", "a\x7f", "€", "\ud800", Level.MANY)
    ),
]

KEYS: list[Bad] = [
    *bad("api_key", 5, b"sk", ["sk"], True, 1.5, Data(), Level.MANY),
    *bad("api_key", {"openai": 5}, at="['openai']"),
    *(
        Bad("api_key", key, None, late=True, error=ConfigurationError)
        for text in (
            "",
            " \n",
            f"{KEY} {KEY}",
            f"{KEY}\t{KEY}",
            f"{KEY}\r\nX-Other: y",
            f"{KEY}\0",
            f"\x1b{KEY}",
            f"{KEY}é",
            f"{KEY}\u200b",
            f"“{KEY}”",
            f"{KEY}\ud800",
            "k" * 8193,
            "None",
            "null",
            "YOUR_API_KEY",
            "your-api-key",
        )
        for key in (text, Secret(text))
    ),
]


async def key_of_bytes() -> Any:
    """Returns bytes."""
    return KEY.encode()


async def key_of_nothing() -> Any:
    """Returns None."""
    return None


async def key_with_a_space() -> str:
    """Returns an invalid key."""
    return f"{KEY} {KEY}"


async def key_that_fails() -> str:
    """Raises an error whose text contains the key."""
    raise LookupError(KEY)


KEY_FUNCTIONS: list[Bad] = [
    Bad("api_key", key, None, late=True, error=ConfigurationError)
    for key in (key_of_bytes, key_of_nothing, key_with_a_space, key_that_fails, Data, len)
]

_WITH_KEY = {"api_key": KEY}

URLS: list[Bad] = [
    *bad("base_url", 5, b"https://x", [], True, {}, pathlib.PurePosixPath("/v1"), others=_WITH_KEY),
    *bad(
        "base_url",
        # no scheme, another scheme, no host
        "",
        "api.example.com",
        "//api.example.com/v1",
        "/v1",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "httpss://api.example.com",
        "https:api.example.com",
        "https://",
        "https:///v1",
        "https://:443/v1",
        # parts that a base URL must not have
        "https://user@api.example.com",
        f"https://user:{KEY}@api.example.com",
        f"https://:{KEY}@api.example.com",
        "https://api.example.com?a=b",
        "https://api.example.com/v1?",
        "https://api.example.com#f",
        "https://api.example.com/v1#",
        "https://api.example.com/ v1",
        " https://api.example.com",
        "https://api.example.com\n",
        "https://api.example.com\r\nHost: x",
        "https://api.exa\tmple.com",
        "https://api.example.com\0",
        "https://api.example.com\ud800",
        "https://api.example.com:99999",
        "https://api.example.com:port",
        "https://api.example.com:-1",
        "https:\\\\api.example.com",
        "https://api.example.com\\@evil.example",
        "https://api.example.com/a/../b",
        "https://api.example.com/./b",
        "https://api.example.com/%2e%2e/b",
        "https://api.example.com/..",
        "https://[::1",
        "https://[x]",
        # addresses as numbers
        "https://2852039166/",
        "https://0xa9fea9fe",
        "https://0x7f.1",
        "https://0251.0376.0251.0376",
        "https://169.0376.43518",
        "https://127.1",
        "https://0",
        # metadata services of clouds
        "http://169.254.169.254",
        "https://169.254.169.254/latest",
        "https://169.254.0.1",
        "https://[fe80::1]",
        "https://[fd00:ec2::254]",
        "https://[::ffff:169.254.169.254]",
        "https://[::ffff:a9fe:a9fe]",
        "https://100.100.100.200",
        "https://metadata.google.internal",
        "https://METADATA.google.internal./computeMetadata",
        "https://１６９.254.169.254",
        "https://169。254。169。254",
        # plain HTTP to other machines
        "http://api.example.com/v1",
        "http://10.0.0.1",
        "http://192.168.0.1:8000/v1",
        "http://0.0.0.0:8000",
        "http://[::]:8000",
        "http://[2001:db8::1]",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1.nip.io",
        "HTTP://api.example.com",
        others=_WITH_KEY,
        late=True,
    ),
    # A key goes only to the origin it was configured for.
    *(
        Bad("base_url", url, None, late=True, error=ConfigurationError)
        for url in ("https://api.example.com/v1", "http://localhost:1/v1", "http://127.0.0.1:1", "https://[::1]:1")
    ),
]

BAD: list[Bad] = [
    *MESSAGES,
    *IMAGES,
    *MODELS,
    *NUMBERS,
    *TEXTS,
    *TOOLS,
    *JSON,
    *WITH_SURROGATES,
    *OTHERS,
    *HEADERS,
    *KEYS,
    *KEY_FUNCTIONS,
    *URLS,
]
"""All rows."""


def row_ids(rows: list[Bad]) -> list[str]:
    """A test id for each row, without its value."""
    return [f"{i}-{row.name}" for i, row in enumerate(rows)]
