"""Tests of FakeProvider: scripted replies through the real client, without the network only."""

import asyncio
import json
import pickle
import socket
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
import uvloop

import anycompletion
from anycompletion import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    ChunkChoice,
    CompletionError,
    ConfigurationError,
    ContextWindowExceededError,
    Delta,
    FunctionCall,
    InternalServerError,
    OverloadedError,
    Provider,
    RateLimitError,
    StreamInterruptedError,
    Timeout,
    ToolCall,
    UnsupportedParameterError,
    Usage,
)
from anycompletion.testing import FakeProvider, FakeReply, Fault, NoReplyLeft, block_network, tool_call
from support.simulated import MODEL_BY_DIALECT, WITH_FUNCTIONS

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}

MODELS = MODEL_BY_DIALECT
EACH_FORMAT = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
EACH_FORMAT_WITH_TOOLS = pytest.mark.parametrize("model", [each for each in MODELS.values() if each in WITH_FUNCTIONS])


def fake_of(*replies: FakeReply, **options: Any) -> FakeProvider:
    return FakeProvider(*replies, name="*", **options)


async def ask(fake: FakeProvider, model: str = "openai/gpt-4o", **params: Any) -> ChatCompletion:
    async with AsyncCompletion(providers=[fake]) as client:
        return cast("ChatCompletion", await client.create(model, "Hello there", **params))


async def pieces(fake: FakeProvider, model: str = "openai/gpt-4o", **params: Any) -> tuple[list[str], ChatCompletion]:
    async with AsyncCompletion(providers=[fake]) as client:
        async with client.stream(model, "Hello there", **params) as stream:
            texts = [text async for text in stream.text]
        return texts, await stream.get_final_completion()


# --- replies ---------------------------------------------------------------------------------------------------------


@EACH_FORMAT
async def test_a_text_is_the_reply(model: str) -> None:
    """A scripted text would get lost in some provider's format."""
    reply = await ask(fake_of("How are you?"), model)
    assert (reply.text, reply.choices[0].finish_reason) == ("How are you?", "stop")
    assert reply.usage is not None
    assert (reply.usage.completion_tokens, reply.info.request_id) == (3, reply.info.headers.get(_id_header(model)))


def _id_header(model: str) -> str:
    return anycompletion.PROVIDERS[model.partition("/")[0]].request_id_header


@EACH_FORMAT
async def test_a_text_streams_by_words(model: str) -> None:
    """A stream would have one piece, or not add up to the text."""
    texts, final = await pieces(fake_of("How are you?"), model)
    assert texts == ["How", " are", " you?"]
    assert final.text == "How are you?"
    assert final.usage is not None


@EACH_FORMAT
async def test_a_list_has_the_pieces_of_a_stream(model: str) -> None:
    """A test could not choose the pieces of a text."""
    texts, final = await pieces(fake_of(["H", "ow", " are you?"]), model)
    assert (texts, final.choices[0].finish_reason) == (["H", "ow", " are you?"], "stop")


@EACH_FORMAT
async def test_a_list_is_joined_for_a_call_without_streaming(model: str) -> None:
    """An app that does not stream would need other replies."""
    assert (await ask(fake_of(["H", "ow"]), model)).text == "How"


@EACH_FORMAT
async def test_chunks_can_be_pieces_of_a_stream(model: str) -> None:
    """A test could not script finish reasons and usage."""
    chunks = [
        ChatCompletionChunk(choices=[ChunkChoice(0, Delta(content="One"))]),
        ChatCompletionChunk(choices=[ChunkChoice(0, Delta(content=" two"), "length")], usage=Usage(3, 2, 5)),
    ]
    texts, final = await pieces(fake_of(chunks, chunks), model)
    assert (texts, final.choices[0].finish_reason) == (
        ["One", " two"],
        "length" if "replicate" not in model else "stop",
    )


@EACH_FORMAT
@pytest.mark.parametrize("text", ["", " ", "one\n\ntwo\nthree", "é 🎉 \u2028 \x00", "data: [DONE]"])
async def test_any_text_is_preserved(text: str, model: str) -> None:
    """A text that looks like framing, or is empty, would fail with a fake only."""
    assert (await ask(fake_of(text), model)).text == text
    assert (await pieces(fake_of(text), model))[1].text == text


COMPLETION = ChatCompletion(
    "mine-1",
    [
        Choice(
            0,
            ChatCompletionMessage(
                "Looking it up.",
                tool_calls=[
                    ToolCall("call_1", FunctionCall("weather", '{"city": "Oslo"}')),
                    ToolCall("call_2", FunctionCall("time", "{}")),
                ],
                reasoning_content="Two tools, then.",
            ),
            "tool_calls",
        )
    ],
    "model-x",
    usage=Usage(11, 7, 18),
)


@EACH_FORMAT_WITH_TOOLS
@pytest.mark.parametrize("stream", [False, True])
async def test_a_completion_is_preserved(model: str, stream: bool) -> None:
    """Tool calls, reasoning, finish reason or usage would be lost in a provider's format."""
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
        for name in ("weather", "time")
    ]
    reply = (
        (await pieces(fake_of(COMPLETION), model, tools=tools))[1]
        if stream
        else await ask(fake_of(COMPLETION), model, tools=tools)
    )
    message, mine = reply.choices[0].message, COMPLETION.choices[0].message
    assert (reply.choices[0].finish_reason, message.content) == ("tool_calls", mine.content)
    assert message.reasoning_content == mine.reasoning_content
    assert [(call.id, call.function.name) for call in message.tool_calls or []] == [
        ("call_1", "weather"),
        ("call_2", "time"),
    ]
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (11, 7)
    assert reply.id == "mine-1"


@EACH_FORMAT_WITH_TOOLS
@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_call_is_a_reply(model: str, stream: bool) -> None:
    """A test of a loop over tools would need whole completions, or its calls would come back otherwise."""
    call, other = tool_call("weather", city="Zürich", days=2), tool_call("time")
    fake = fake_of(call, ["Let me see. ", call, other])
    async with AsyncCompletion(providers=[fake]) as client:
        replies: list[ChatCompletion] = []
        for _ in range(2):
            reply = await client.create(model, "Hello there", tools=[WEATHER], stream=stream)
            replies.append(reply if isinstance(reply, ChatCompletion) else await reply.get_final_completion())
    assert [reply.choices[0].finish_reason for reply in replies] == ["tool_calls"] * 2
    assert [(reply.message.content or "").strip() for reply in replies] == ["", "Let me see."]
    calls = [[(each.id, each.function.name) for each in reply.message.tool_calls or []] for reply in replies]
    assert calls == [[(call.id, "weather")], [(call.id, "weather"), (other.id, "time")]]
    arguments = [json.loads(each.function.arguments) for reply in replies for each in reply.message.tool_calls or []]
    assert arguments == [{"city": "Zürich", "days": 2}] * 2 + [{}]


async def test_tool_calls_are_choices_and_have_ids_of_their_own() -> None:
    """Two calls of one tool would have the same id, or a call could not be one of several choices."""
    fake = fake_of(tool_call("weather", city="Oslo"), tool_call("weather", city="Oslo"), "Sunny.")
    reply = await ask(fake, n=3, tools=[WEATHER])
    assert [choice.finish_reason for choice in reply.choices] == ["tool_calls", "tool_calls", "stop"]
    ids = {call.id for choice in reply.choices for call in choice.message.tool_calls or []}
    assert len(ids) == 2


async def test_thinking_blocks_are_preserved() -> None:
    """A conversation with Claude's thinking could not be tested."""
    blocks = [{"type": "thinking", "thinking": "Hm, let me see.", "signature": "c2ln"}]
    mine = ChatCompletion("x", [Choice(0, ChatCompletionMessage("Yes.", thinking_blocks=blocks), "stop")], "m")
    for reply in (
        await ask(fake_of(mine), MODELS["anthropic_messages"]),
        (await pieces(fake_of(mine), MODELS["anthropic_messages"]))[1],
    ):
        assert reply.choices[0].message.thinking_blocks == blocks
        assert reply.text == "Yes."


@EACH_FORMAT
async def test_each_choice_takes_a_reply(model: str) -> None:
    """A test with several choices would pass for one provider and fail for another."""
    assert (await ask(fake_of("a", "b", "c"), model, n=3)).texts == ["a", "b", "c"]
    fake = fake_of("a", "b", "c")
    _, final = await pieces(fake, model, n=3)
    assert (final.texts, fake.replies) == (["a", "b", "c"], ())


async def test_a_completion_can_have_several_choices() -> None:
    """A recorded reply with several choices could not be scripted."""
    mine = ChatCompletion("x", [Choice(i, ChatCompletionMessage(text), "stop") for i, text in enumerate("ab")], "m")
    assert (await ask(fake_of(mine), n=2)).texts == ["a", "b"]
    with pytest.raises(ValueError, match="several choices"):
        await ask(fake_of(mine), MODELS["anthropic_messages"], n=2)


async def test_functions_get_the_request() -> None:
    """A reply could not depend on the request."""
    requests: list[ChatRequest] = []

    def first(request: ChatRequest) -> str:
        requests.append(request)
        return f"at {request.temperature}"

    async def then(request: ChatRequest) -> ChatCompletion:
        await asyncio.sleep(0)
        return COMPLETION

    fake = fake_of(first, then)
    assert (await ask(fake, temperature=0.5)).text == "at 0.5"
    assert requests[0].messages[0].to_dict()["content"] == "Hello there"  # type: ignore[union-attr]
    assert [(await ask(fake)).id for _ in range(3)] == ["mine-1"] * 3, "the last function answers all further requests"


async def test_an_exception_of_a_function_reaches_the_test() -> None:
    """A failed assertion in a fake's function would look like a network error."""

    def broken(request: ChatRequest) -> str:
        raise AssertionError("the app asked the wrong thing")

    with pytest.raises(AssertionError, match="wrong thing"):
        await ask(fake_of(broken))
    with pytest.raises(AssertionError, match="wrong thing"):
        await ask(fake_of(broken), MODELS["cohere_chat"], n=2)
    with pytest.raises(AssertionError, match="wrong thing"):
        await pieces(fake_of(broken))


async def test_without_replies_it_repeats_the_user_message() -> None:
    """A smoke test would have to script replies that it does not check."""
    assert (await ask(fake_of())).text == "You said: Hello there (choice 0)"
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    reply = await ask(fake_of(), MODELS["anthropic_messages"], tools=tools)
    assert [call.function.name for call in reply.choices[0].message.tool_calls or []] == ["weather"]


async def test_a_missing_reply_is_a_clear_error() -> None:
    """An app that makes too many calls would get a made-up reply, or an error that it handles as the provider's."""
    fake = FakeProvider("only one")
    assert (await ask(fake)).text == "only one"
    with pytest.raises(NoReplyLeft, match=r"no reply left of the 1 it was given, and a call to openai/gpt-4o"):
        await ask(fake)
    fake.add("another")
    assert (await ask(fake)).text == "another"
    assert not issubclass(NoReplyLeft, CompletionError)


@pytest.mark.parametrize("reply", [5, None, [1], ["a", RateLimitError(), "b"], [None], [ValueError()], ValueError()])
def test_invalid_replies_are_rejected_immediately(reply: Any) -> None:
    """A mistake in a script would fail in the middle of a test, without its cause."""
    with pytest.raises(TypeError, match=r"reply is|pieces of a reply"):
        FakeProvider(reply)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (RateLimitError, r"this is RateLimitError itself; write RateLimitError\('\.\.\.'\)"),
        (ValueError, "this is ValueError itself; write a value of it"),
        (dict, "this is dict itself; write a value of it, or a function of the request"),
    ],
)
def test_a_class_is_no_reply(reply: Any, text: str) -> None:
    """A class would be called with the request, as a function is, and fail far from where it was given."""
    with pytest.raises(TypeError, match=text):
        FakeProvider(reply)
    with pytest.raises(TypeError, match=text):
        FakeProvider().add(reply)


async def test_the_error_of_a_missing_key_names_a_fake_of_another_provider() -> None:
    """A test would ask for a key of a provider that its fake seems to replace."""
    fake: Any = FakeProvider("Hello!")
    async with AsyncCompletion(providers=[fake]) as client:
        with pytest.raises(ConfigurationError, match="the FakeProvider among providers= replaces other providers only"):
            await client.create("groq/large", "Hi")


@pytest.mark.parametrize("options", [{"latency": -1}, {"chunk_delay": -0.1}, {"chunks": 0}, {"fault": "nonsense"}])
def test_invalid_options_are_rejected(options: dict[str, Any]) -> None:
    """A misspelt fault or a wrong delay would silently do nothing."""
    with pytest.raises(ValueError, match=next(iter(options.values())) if "fault" in options else next(iter(options))):
        FakeProvider(**options)


# --- errors ----------------------------------------------------------------------------------------------------------

STATUS_ERRORS: list[type[APIStatusError]] = [
    each
    for each in vars(anycompletion).values()
    if isinstance(each, type) and issubclass(each, APIStatusError) and each is not APIStatusError
]


@EACH_FORMAT
@pytest.mark.parametrize("kind", STATUS_ERRORS)
async def test_an_error_is_raised_as_its_own_class(kind: type[APIStatusError], model: str) -> None:
    """A test of an app's error handling would get another error with some provider."""
    with pytest.raises(APIStatusError) as caught:
        await ask(fake_of(kind("as scripted")), model, max_retries=0)
    assert (type(caught.value), caught.value.message) == (kind, "as scripted")
    assert caught.value.provider == model.partition("/")[0]


OTHERS: list[CompletionError] = [
    APIConnectionError("no route", phase="connect"),
    APITimeoutError("too slow", phase="first_chunk"),
    APIResponseError("not what it should be"),
    StreamInterruptedError("cut"),
    ConfigurationError("no key"),
]


@pytest.mark.parametrize("error", OTHERS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("stream", [False, True])
async def test_errors_without_a_response_are_raised_too(error: CompletionError, stream: bool) -> None:
    """A lost connection or a timeout could only be tested by waiting for one."""
    with pytest.raises(type(error)) as caught:
        await (pieces if stream else ask)(fake_of(error), max_retries=0)
    assert caught.value.message == error.message
    assert error.provider is None, "the script is not changed by its use"


async def test_errors_are_retried_without_waiting() -> None:
    """A test of a retry would take as long as its delay."""
    fake = fake_of(InternalServerError("once"), OverloadedError("twice"), APIConnectionError("thrice"), "at last")
    async with asyncio.timeout(5):
        reply = await ask(fake, max_retries=3)
    assert (reply.text, reply.info.attempts) == ("at last", 4)
    assert (len(fake.requests), len(fake.requests[0].wire)) == (1, 4)


async def test_retry_after_is_sent() -> None:
    """An app that uses retry_after could not be tested."""
    with pytest.raises(RateLimitError) as caught:
        await ask(fake_of(RateLimitError("slow down", retry_after=120)))
    assert (caught.value.retry_after, caught.value.status_code) == (120, 429)


@EACH_FORMAT
@pytest.mark.parametrize(
    "error", [RateLimitError("enough"), APIConnectionError("gone"), ContextWindowExceededError("full")]
)
async def test_an_error_at_the_end_of_a_list_interrupts_the_stream(model: str, error: APIError) -> None:
    """An app's handling of a partial reply could not be tested."""
    async with AsyncCompletion(providers=[fake_of(["Hello", " wor", error])]) as client:
        texts: list[str] = []
        async with client.stream(model, "Hello there") as stream:
            with pytest.raises(APIError) as caught:
                async for text in stream.text:
                    texts.append(text)
    assert texts == ["Hello", " wor"]
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello wor"
    expected = StreamInterruptedError if isinstance(error, APIConnectionError) else type(error)
    assert type(caught.value) is expected


@EACH_FORMAT
async def test_faults_are_those_of_the_simulator(model: str) -> None:
    """An interrupted stream could only be tested with a server."""
    fake = fake_of("one two three four five six", fault="cut-after-5-events")
    with pytest.raises(StreamInterruptedError):
        await pieces(fake, model)
    fake.fault = "overloaded"
    with pytest.raises(InternalServerError):
        await ask(fake, model, max_retries=0)
    fake.fault = None
    fake.add("fine")
    assert (await ask(fake, model)).text == "fine"


@pytest.mark.parametrize(
    "fault", ["reset-after-2-events", "close-before-answer", "garbage", "malformed-json", "hang", "short-body"]
)
async def test_byte_level_faults_need_no_socket(fault: str) -> None:
    """Byte-level faults would hang, or have no effect, without a socket."""
    fake = fake_of(lambda request: "one two three", fault=fault)
    timeout = Timeout(total=0.2) if fault == "hang" else Timeout(total=10)
    with pytest.raises(APIError) as caught:
        await pieces(fake, max_retries=0, timeout=timeout)
    assert (fault == "hang") == isinstance(caught.value, APITimeoutError)


async def test_a_replaced_response_takes_no_reply() -> None:
    """The script would lose a reply with each fault."""
    fake = fake_of("one", "two")
    fake.fault = [Fault.named("overloaded", times=1), Fault.named("html-error", times=1), "second-answer"]
    assert (await ask(fake, max_retries=2)).text == "one"
    assert fake.replies == ("two",)


# --- the request of the app, and the requests that were sent ---------------------------------------------------------


async def test_requests_are_kept_as_the_app_made_them() -> None:
    """A test could only check a provider's wire format, and not the app's request."""
    fake = fake_of("a", "b")
    async with AsyncCompletion(providers=[fake], on_unsupported="warn") as client:
        reply = await client.create("anthropic/claude-haiku-4-5", "Hello", n=2, seed=7, temperature=0.5)
    assert any("seed" in warning for warning in reply.info.warnings)
    (call,) = fake.requests
    assert (call.provider, call.model, call.stream) == ("anthropic", "claude-haiku-4-5", False)
    assert (call.request.n, call.request.seed, call.request.temperature) == (2, 7, 0.5)
    assert [each.path for each in call.wire] == ["/v1/messages"] * 2
    assert call.body == {
        "model": "claude-haiku-4-5",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 4096,
        "temperature": 0.5,
    }
    wire = call.wire[0]
    assert (wire.provider, wire.headers["host"], wire.headers["anthropic-version"]) == (
        "anthropic",
        "api.anthropic.com",
        "2023-06-01",
    )
    assert not [name for name in wire.headers if "fake" in name]


async def test_rejected_requests_never_reach_it() -> None:
    """A request that the provider would reject would pass in tests and fail in production."""
    fake = fake_of("never")
    with pytest.raises(UnsupportedParameterError):
        await ask(fake, MODELS["anthropic_messages"], seed=7)
    assert (fake.requests, fake.replies) == ([], ("never",))


async def test_prompts_are_not_in_reprs() -> None:
    """A failing assertion would print whole conversations."""
    fake = fake_of("Secret answer")
    await ask(fake)
    assert "Hello there" not in repr(fake.requests)
    assert "Secret" not in repr(fake)


# --- providers that it replaces --------------------------------------------------------------------------------------


async def test_it_replaces_the_provider_of_its_name_only() -> None:
    """Other providers would be replaced as well, or the app would need other model strings."""
    fake = FakeProvider("Hi")
    async with AsyncCompletion(providers=[fake], api_keys={"anthropic": "sk-ant-test"}) as client:
        assert (await client.create("gpt-4o", "Hello")).text == "Hi"
        with block_network(), pytest.raises(AssertionError, match=r"api\.anthropic\.com:443"):
            await client.create("claude-haiku-4-5", "Hello")


async def test_a_star_replaces_all_providers_and_the_clients_own() -> None:
    """A call to an app's own provider would go to the network."""
    acme = Provider("acme", "https://llm.acme.example/v1", key_env=("ACME_KEY",))
    fake = fake_of(lambda request: request.model)
    async with AsyncCompletion(providers=[fake, acme]) as client:
        for model in ("acme/large", "groq/x", "azure/our-deployment", "ollama/y"):
            assert (await client.create(model, "Hello")).text == model


async def test_a_provider_of_the_client_can_be_replaced() -> None:
    """A fake for an app's own provider would be rejected, or calls to a misspelt one would go to the network."""
    acme = Provider("acme", "https://llm.acme.example", dialect="cohere_chat")
    async with AsyncCompletion(providers=[FakeProvider("Hi", name="acme"), acme]) as client:
        assert (await client.create("acme/large", "Hello")).text == "Hi"
    with pytest.raises(ConfigurationError, match="no provider is called 'acmee'"):
        AsyncCompletion(providers=[acme, FakeProvider("Hi", name="acmee")])


async def test_several_fakes_replace_several_providers() -> None:
    """A test could not use two providers."""
    fakes = [fake_of("all"), FakeProvider("one", name="openai")]
    async with AsyncCompletion(providers=fakes) as client:
        assert (await client.create("openai/x", "Hello")).text == "one"
        assert (await client.create("groq/x", "Hello")).text == "all"


async def test_the_environment_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test would need a key, log a real one, or fail on another machine."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")
    fake = fake_of("a", "b")
    await ask(fake)
    await ask(fake, "azure/deployment")
    assert fake.requests[0].wire[0].headers["host"] == "api.openai.com"
    assert not fake.requests[0].wire[0].has_key
    assert fake.requests[1].wire[0].query == {}


async def test_an_explicit_key_is_sent() -> None:
    """An app's handling of keys could not be tested."""
    fake = fake_of("a")
    await ask(fake, api_key="sk-of-the-user")
    assert fake.requests[0].wire[0].headers["authorization"] == "Bearer sk-of-the-user"


# --- timing ----------------------------------------------------------------------------------------------------------


async def test_timeouts_expire() -> None:
    """An app's timeouts could not be tested."""
    with pytest.raises(APITimeoutError):
        await ask(fake_of("late", latency=30), timeout=0.05, max_retries=0)

    async def slow(request: ChatRequest) -> str:
        await asyncio.sleep(30)
        return "late"

    with pytest.raises(APITimeoutError):
        await ask(fake_of(slow), timeout=0.05, max_retries=0)
    with pytest.raises(APITimeoutError):
        await pieces(fake_of("a b c", chunk_delay=30), timeout=Timeout(idle=0.05), max_retries=0)


async def test_chunks_are_delayed() -> None:
    """A page that shows tokens as they arrive could not be tested."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert len((await pieces(fake_of("a b c", chunk_delay=0.02)))[0]) == 3
    assert loop.time() - started >= 0.06


async def test_leaving_a_stream_early_is_recorded() -> None:
    """An app's stop button could not be tested."""
    fake = fake_of("a b c d e", chunk_delay=0.02)
    async with AsyncCompletion(providers=[fake]) as client:
        async with client.stream("openai/x", "Hello") as stream:
            async for _ in stream.text:
                break
        (wire,) = fake.requests[0].wire
        assert await wire.wait_closed()
        assert not wire.finished


# --- resources -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_it_needs_no_socket_and_no_thread(run: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake would depend on the machine's network, or on one event loop."""
    fake = fake_of(lambda request: ["a ", "b ", "c"])

    async def main() -> None:
        # The loop has its own sockets by now.
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "__init__", _no_socket)
            await work()

    async def work() -> None:
        threads = threading.active_count()
        async with AsyncCompletion(providers=[fake]) as client:
            replies = await asyncio.gather(*(client.create(model, "Hello", n=2) for model in MODELS.values()))
            async with client.stream("openai/x", "Hello") as stream:
                assert [text async for text in stream.text] == ["a ", "b ", "c"]
        assert [reply.texts for reply in replies] == [["a b c", "a b c"]] * len(MODELS)
        assert threading.active_count() == threads
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
    run(_again(fake))


async def _again(fake: FakeProvider) -> None:
    assert (await ask(fake)).text == "a b c", "in another event loop"


def _no_socket(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("a socket was opened")


async def test_large_bodies_pass_in_both_directions() -> None:
    """A long prompt or reply would be truncated, or would hang without a socket's buffer."""
    long = "word " * 200_000
    fake = fake_of(lambda request: long, chunks=20)
    async with AsyncCompletion(providers=[fake]) as client:
        assert (await client.create("openai/x", long)).text == long
        async with client.stream("anthropic/x", "Hello") as stream:
            assert sum([len(text) async for text in stream.text]) == len(long)
    assert len(fake.requests[0].wire[0].raw) > len(long)


async def test_closing_ends_running_calls() -> None:
    """A test that ends early would leak tasks."""
    client = AsyncCompletion(providers=[fake_of("late", latency=30)])
    task = asyncio.create_task(client.attempt("openai/x", "Hello"))
    await asyncio.sleep(0.01)
    await client.aclose()
    assert isinstance((await task).error, anycompletion.ClientClosedError)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_concurrent_calls_get_one_reply_each() -> None:
    """Replies would be lost or used twice under load."""
    fake = fake_of(*map(str, range(200)))
    async with AsyncCompletion(providers=[fake]) as client:
        replies = await asyncio.gather(*(client.create("openai/x", "Hello") for _ in range(200)))
    assert sorted(int(reply.text) for reply in replies) == list(range(200))
    assert len(fake.requests) == 200


def test_a_fake_cannot_be_pickled() -> None:
    """Each process would use the same replies again, and the test would get none of the requests."""
    with pytest.raises(TypeError, match="FakeProvider does not pickle"):
        pickle.dumps(AsyncCompletion(providers=[FakeProvider("Hi")]))


async def test_views_and_batches_reach_it() -> None:
    """Only create would use the fake, and a batch would go to the network."""
    fake = fake_of(lambda request: "Hi")
    async with AsyncCompletion(providers=[fake]) as client:
        assert (await client.with_options(timeout=5).create("openai/x", "Hello")).text == "Hi"
        assert (await client.attempt("openai/x", "Hello")).ok
        assert (await client.send(ChatRequest("openai/x", "Hello"))).text == "Hi"
        async with client.batch([ChatRequest("cohere/x", "Hello"), ChatRequest("groq/x", "Hello")]) as run:
            assert [result.unwrap().text async for result in run] == ["Hi", "Hi"]


async def test_a_call_that_is_cancelled_at_any_time_logs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A test that cancels calls would show tracebacks of the fake's own server."""
    for stream in (False, True):
        async with AsyncCompletion(providers=[FakeProvider(lambda request: "Hi!")]) as client:
            for turns in range(40):
                call = asyncio.create_task(client.create("openai/gpt-4o", "Hello!", stream=stream))
                for _ in range(turns):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
            assert (await client.create("openai/gpt-4o", "Hello!")).text == "Hi!"
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
