"""Records in pydantic models and FastAPI, and message objects of other SDKs in requests."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest
from anthropic.types import Message as AnthropicMessage
from anthropic.types import TextBlock
from anthropic.types import Usage as AnthropicUsage
from cattrs import Converter
from fastapi import FastAPI
from fastapi.testclient import TestClient
from openai.types.chat import ChatCompletionMessage as OpenAIMessage
from openai.types.chat.chat_completion_message_function_tool_call import (
    ChatCompletionMessageFunctionToolCall as OpenAIToolCall,
)
from openai.types.chat.chat_completion_message_function_tool_call import Function as OpenAIFunction

from anycompletion import (
    AssistantMessage,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    FunctionCall,
    InvalidRequestError,
    Record,
    ReplyInfo,
    TextPart,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from anycompletion.records import plain
from anycompletion.routing import Tried
from anycompletion.validation.message_input import parse_messages

CALL = ToolCall("c", FunctionCall("f", "{}"))
REPLY = ChatCompletion(
    "i", [Choice(0, ChatCompletionMessage("Héllo", tool_calls=[CALL]), "stop")], "m", 5, usage=Usage(1, 2, 3)
)
RECORDS = [REPLY, REPLY.choices[0], REPLY.message, Usage(1), CALL, UserMessage("x"), TextPart("x", extra={"a": [1]})]


class Model(pydantic.BaseModel):
    """A model of an application."""

    reply: ChatCompletion
    message: ChatCompletionMessage
    turns: list[UserMessage] = []
    usage: Usage | None = None
    chunk: ChatCompletionChunk | None = None


MODEL = Model(
    reply=REPLY,
    message=REPLY.message,
    turns=[UserMessage("x", extra={"a": 1})],
    usage=REPLY.usage,
    chunk=ChatCompletionChunk("i"),
)


@pytest.mark.parametrize("record", [*RECORDS, ChatCompletionChunk("i")], ids=lambda record: type(record).__name__)
def test_pydantics_names_return_openais_json(record: Record) -> None:
    """Code for OpenAI's SDK or LiteLLM would not get the reply as a dict or text."""
    assert record.model_dump() == record.model_dump(exclude_none=True, mode="json") == record.to_dict()
    assert json.loads(record.model_dump_json()) == record.to_dict()
    assert json.loads(record.model_dump_json(indent=2, by_alias=True)) == record.to_dict()


def test_text_in_json_is_not_escaped() -> None:
    """A stored reply in another script than Latin would be several times as long, and unreadable."""
    assert "Héllo" in REPLY.model_dump_json()
    assert len(REPLY.model_dump_json(indent=2).splitlines()) > 10


def test_a_model_has_records_as_fields() -> None:
    """An application's model with a reply in it could not be validated, or not be read again from its JSON."""
    assert MODEL.reply is REPLY
    assert MODEL.model_dump()["reply"] == REPLY.to_dict()
    again = Model.model_validate_json(MODEL.model_dump_json())
    assert (again.reply, again.message, again.turns) == (MODEL.reply, MODEL.message, MODEL.turns)
    assert (again.usage, again.chunk) == (MODEL.usage, MODEL.chunk)
    assert Model.model_validate(MODEL.model_dump()) == MODEL


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reply", 5),
        ("reply", []),
        ("reply", {"choices": 3}),
        ("message", {"tool_calls": [{"function": 3}]}),
        ("turns", [{"name": "x"}]),
        ("usage", "x"),
        ("usage", UserMessage("x")),
    ],
)
def test_a_value_that_is_no_record_is_pydantics_error(field: str, value: object) -> None:
    """A wrong body would be an exception of ours in a handler, and a 500."""
    with pytest.raises(pydantic.ValidationError) as caught:
        Model.model_validate({"reply": REPLY, "message": REPLY.message, field: value})
    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_a_model_has_a_json_schema(mode: Any) -> None:
    """The OpenAPI document of a service would fail as a whole."""
    properties = Model.model_json_schema(mode=mode)["properties"]
    assert properties["reply"]["type"] == properties["message"]["type"] == "object"


async def _reply():  # type: ignore[no-untyped-def]  # as many handlers are written
    return REPLY


async def _declared_reply() -> ChatCompletion:
    return REPLY


async def _reply_in_a_dict():  # type: ignore[no-untyped-def]
    return {"reply": REPLY, "all": [REPLY.message], "usage": REPLY.usage}


async def _model() -> Model:
    return MODEL


async def _echo(turns: list[UserMessage]) -> list[UserMessage]:
    return turns


def test_fastapi_returns_and_accepts_records() -> None:
    """A handler that returns a reply would answer with 500."""
    app = FastAPI()
    for handler in (_reply, _declared_reply, _reply_in_a_dict, _model):
        app.get(f"/{handler.__name__}")(handler)
    app.post("/echo")(_echo)
    with TestClient(app) as client:
        answers = {
            path: client.get(f"/{path}").json() for path in ("_reply", "_declared_reply", "_reply_in_a_dict", "_model")
        }
        assert answers["_reply"] == answers["_declared_reply"] == REPLY.to_dict()
        assert answers["_reply_in_a_dict"] == plain({"reply": REPLY, "all": [REPLY.message], "usage": REPLY.usage})
        assert answers["_model"]["reply"] == REPLY.to_dict()
        turns = [{"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}}]
        assert client.post("/echo", json=turns).json() == turns
        assert client.post("/echo", json=[{"name": "x"}]).status_code == 422
        assert client.get("/openapi.json").status_code == 200


def test_a_request_is_no_list_of_requests() -> None:
    """`batch(request)` would read the fields of the request as requests."""
    with pytest.raises(TypeError, match="not iterable"):
        iter(ChatRequest("openai/m", "Hi"))  # type: ignore[call-overload]


# --- objects of other SDKs in requests ---

OPENAI = OpenAIMessage(
    role="assistant",
    content=None,
    tool_calls=[OpenAIToolCall(id="c", type="function", function=OpenAIFunction(name="f", arguments="{}"))],
)
CALLED = AssistantMessage(tool_calls=[CALL], extra={"content": None})
ANTHROPIC = AnthropicMessage(
    id="msg_1",
    type="message",
    role="assistant",
    content=[TextBlock(type="text", text="Hi")],
    model="claude",
    stop_reason="end_turn",
    usage=AnthropicUsage(input_tokens=1, output_tokens=2),
)


class _Odd:
    """An object whose `model_dump` does what the test wants."""

    def __init__(self, dumped: object) -> None:
        self._dumped = dumped

    def model_dump(self) -> Any:
        if isinstance(self._dumped, Exception):
            raise self._dumped
        return self._dumped


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (OPENAI, CALLED),
        ({"role": "assistant", "content": None, "tool_calls": OPENAI.tool_calls}, CALLED),
        (ANTHROPIC, AssistantMessage([TextPart("Hi")])),
        (_Odd({"role": "tool", "content": "1", "tool_call_id": "c", "name": None}), ToolMessage("1", "c")),
        ({"role": "user", "content": [_Odd({"type": "text", "text": "x", "a": None})]}, UserMessage([TextPart("x")])),
    ],
    ids=["openai", "openai's calls", "anthropic", "any object", "a part"],
)
def test_objects_with_model_dump_are_taken(given: Any, read: object) -> None:
    """The message of another SDK's reply could not be part of the next request, or would be sent with its nulls."""
    assert parse_messages([given]) == [read]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (_Odd(5), "model_dump() that returned int"),
        (_Odd({}), ".role: is missing"),
        (_Odd(LookupError("a prompt")), "LookupError"),
        (_Odd, "expected an object with a role"),
        (object(), "expected an object with a role"),
    ],
)
def test_objects_that_cannot_be_read_are_refused_with_their_place(given: Any, text: str) -> None:
    """A foreign exception would leave `create`, or an object without a role be sent."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_messages([given])
    assert str(caught.value).startswith("messages[0]")
    assert text in str(caught.value)
    assert "a prompt" not in str(caught.value)


def test_cattrs_reads_the_types_of_a_reply() -> None:
    """A program that writes its own records by cattrs could not write a reply among them."""
    reply = ChatCompletion("1", [Choice(0, ChatCompletionMessage("Hi"), "stop")], "m", usage=Usage(1, 2, 3))
    reply.info = ReplyInfo("openai", "m", tried=(Tried("a", "openai", "m", None, 0.5, 1),))
    data = Converter().unstructure(reply)
    assert data["choices"][0]["message"]["content"] == "Hi"
    assert data["_info"]["provider"] == "openai"
