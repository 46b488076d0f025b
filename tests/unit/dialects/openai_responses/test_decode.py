"""Decoding of responses: a body → the completion, or the next request while it runs in the background."""

from email.utils import formatdate
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.dialects.base import Continuation
from anycompletion.dialects.openai_responses.responses_quirks import OpenAIResponsesQuirks
from anycompletion.records import ChatCompletion
from support.openai_responses import (
    CHAT,
    CUSTOM_TOOL,
    LEGACY,
    SEARCH,
    TARGET,
    USAGE,
    call,
    custom_call,
    decode,
    message,
    part,
    reasoning,
    reply,
    reply_message,
    request,
    response,
)

CITATION = {"type": "url_citation", "url": "https://a.b", "title": "A", "start_index": 1, "end_index": 3}
AZURE = attrs.evolve(
    TARGET, provider="azure", base_url="https://x.openai.azure.com", quirks=OpenAIResponsesQuirks(azure_urls=True)
)


def fails(data: Any, kind: type[errors.APIError] = errors.APIError) -> errors.APIError:
    with pytest.raises(kind) as caught:
        decode(data)
    return caught.value


def follow(data: Any, **options: Any) -> Continuation:
    found = decode(data, **options)
    assert isinstance(found, Continuation)
    return found


# --- the completion ---------------------------------------------------------------------------------------------------


def test_a_complete_reply() -> None:
    """A plain reply would not have OpenAI's shape."""
    assert reply(message("Hello"), service_tier="default", background=False, top_p=1.0).to_dict() == {
        "id": "resp_1",
        "object": "chat.completion",
        "created": 1741476777,
        "model": "gpt-5.2-2025-12-11",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
                "native_finish_reason": "completed",
            }
        ],
        "usage": {
            "prompt_tokens": 36,
            "completion_tokens": 87,
            "total_tokens": 123,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 64},
        },
        "service_tier": "default",
    }


def test_the_whole_response_is_kept() -> None:
    """What no chat field expresses, such as the calls of the server's own tools, would be lost."""
    assert reply(SEARCH, message("Hello")).raw == response(SEARCH, message("Hello"))


def test_unknown_fields_are_kept() -> None:
    """A field that the server adds later would be lost."""
    assert reply(message("Hi"), some_day=1, tools=[], temperature=1.0).extra == {"some_day": 1}


def test_messages_are_divided_by_a_blank_line() -> None:
    """Two messages would run into one word."""
    assert reply_message(message("One"), message("Two", "!")).content == "One\n\nTwo!"


def test_commentary_is_reasoning() -> None:
    """A note before the answer would be taken for the answer, and break JSON."""
    found = reply_message(reasoning("Think"), message("I will look.", phase="commentary"), message("{}", phase="final"))
    assert (found.content, found.reasoning_content) == ("{}", "Think\n\nI will look.")


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (reasoning("One", "Two"), "One\n\nTwo"),
        (reasoning("Sum", content=[{"type": "reasoning_text", "text": "Own"}]), "Own"),
        (reasoning(), None),
        (reasoning(content="A text in place of parts"), "A text in place of parts"),
    ],
)
def test_reasoning(item: dict[str, Any], text: str | None) -> None:
    """The model's reasoning or its summary would be lost, or be given twice."""
    assert reply_message(item, message("Hi")).reasoning_content == text


def test_a_refusal() -> None:
    """A refusal would look like an empty answer."""
    found = reply_message(message({"type": "refusal", "refusal": "No."}))
    assert (found.content, found.refusal) == (None, "No.")


def test_places_of_citations_are_those_of_the_whole_content() -> None:
    """A citation in a second message would mark other characters than the cited ones."""
    found = reply_message(message("One"), message("", part("Two!", annotations=[CITATION])))
    assert found.content is not None
    (annotation,) = found.annotations or ()
    assert annotation.to_dict() == {
        "type": "url_citation",
        "url_citation": {"url": "https://a.b", "title": "A", "start_index": 6, "end_index": 8},
    }
    assert found.content[6:8] == "wo"


def test_a_citation_in_commentary_has_no_place() -> None:
    """The place would be that of other characters of the answer."""
    found = reply_message(message(part("Note", annotations=[CITATION]), phase="commentary"), message("Answer"))
    (annotation,) = found.annotations or ()
    assert annotation.url_citation is not None
    assert (annotation.url_citation.start_index, annotation.url_citation.end_index) == (None, None)


def test_citations_of_files_keep_their_own_fields() -> None:
    """The file's id and name would be lost."""
    cited = {"type": "file_citation", "file_id": "file_1", "filename": "a.txt", "index": 3}
    (found,) = reply_message(message(part("Hi", annotations=[cited]))).annotations or ()
    assert found.to_dict() == cited


def test_log_probabilities() -> None:
    """Those of the answer would be lost, or be mixed with the commentary's."""
    token = {"token": "Hi", "bytes": [72, 105], "logprob": -0.5, "top_logprobs": []}
    other = token | {"token": "Note"}
    found = reply(message(part("Note", logprobs=[other]), phase="commentary"), message(part("Hi", logprobs=[token])))
    logprobs = found.choices[0].logprobs
    assert logprobs is not None
    assert [each.token for each in logprobs.content or ()] == ["Hi"]


# --- calls ------------------------------------------------------------------------------------------------------------


def test_calls() -> None:
    """The id that the result must name would be the item's, which the server does not accept."""
    choice = reply(call("add", '{"a":1}', "call_1"), call("sub", "{}", "call_2")).choices[0]
    assert [each.to_dict() for each in choice.message.tool_calls or ()] == [
        {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
        {"id": "call_2", "type": "function", "function": {"name": "sub", "arguments": "{}"}},
    ]
    assert choice.finish_reason == "tool_calls"


def test_a_call_of_a_custom_tool() -> None:
    """Its input, which is a text, would be taken for JSON."""
    choice = reply(custom_call(), asked=request(tools=[CUSTOM_TOOL])).choices[0]
    (found,) = choice.message.tool_calls or ()
    assert found.to_dict() == {"id": "call_1", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    assert choice.finish_reason == "tool_calls"


def test_a_custom_call_of_the_servers_own_tool_is_no_call() -> None:
    """The caller would be asked to run a search that the server ran itself, as xAI's on X."""
    choice = reply(custom_call("x_keyword_search"), message("Found"), asked=request(tools=[CUSTOM_TOOL])).choices[0]
    assert (choice.message.tool_calls, choice.finish_reason) == (None, "stop")


def test_a_custom_tool_that_only_the_response_names() -> None:
    """A call of a tool in a stored prompt would be lost."""
    found = reply_message(custom_call("other"), tools=[{"type": "custom", "name": "other"}])
    assert found.tool_calls is not None


def test_a_call_of_a_legacy_function() -> None:
    """A caller with functions would wait for a function_call in vain."""
    choice = reply(call("add", '{"a":1}'), asked=LEGACY).choices[0]
    assert choice.message.tool_calls is None
    assert choice.message.function_call is not None
    assert (choice.message.function_call.name, choice.finish_reason) == ("add", "function_call")


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("new", "stop")]
)
def test_an_incomplete_response(reason: str, finish: str) -> None:
    """An answer that was cut off would look complete."""
    found = reply(message("Hel"), status="incomplete", incomplete_details={"reason": reason}).choices[0]
    assert (found.finish_reason, found.native_finish_reason, found.message.content) == (finish, reason, "Hel")


def test_a_failed_response() -> None:
    """A generation that failed would be a reply without text."""
    problem = {"code": "rate_limit_exceeded", "message": "Slow down."}
    error = fails(response(status="failed", error=problem), errors.RateLimitError)
    assert (error.message, error.code, error.maybe_billed) == ("Slow down.", "rate_limit_exceeded", True)


def test_a_failed_response_without_a_reason() -> None:
    """A generation that failed would be a reply without text."""
    fails(response(status="failed"), errors.InternalServerError)


def test_a_cancelled_response() -> None:
    """A response that another program cancelled would be an answer."""
    assert "the response was cancelled" in str(fails(response(message("Hel"), status="cancelled")))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"{}", b'{"output": 1}', b'{"output": [1]}'])
def test_a_body_that_is_no_response(body: bytes) -> None:
    """A gateway's page, or another API's reply, would be an empty answer."""
    fails(body)


def test_an_error_in_place_of_a_response() -> None:
    """An error that came with a good status would be an empty answer."""
    error = fails({"error": {"message": "No.", "code": "server_error"}}, errors.InternalServerError)
    assert "No." in error.message


# --- the background ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_response_in_the_background_is_followed(status: str) -> None:
    """The reply would be one without text, and the generation would be lost."""
    found = follow(response(status=status, background=True, usage=None))
    assert (found.request.method, found.request.url) == ("GET", "https://api.openai.com/v1/responses/resp_1")
    assert found.cancel is not None
    assert (found.cancel.method, found.cancel.url) == ("POST", "https://api.openai.com/v1/responses/resp_1/cancel")


@pytest.mark.parametrize(("age", "after"), [(-1, 0.5), (0, 0.5), (8, 1.0), (60, 2.0)])
def test_polls_become_rarer(age: int, after: float) -> None:
    """Short responses would be found late, or long ones be asked for without need."""
    date = formatdate(1741476777 + age, usegmt=True)
    assert follow(response(status="queued", background=True), date=date).after == after


def test_polls_on_azure_have_the_api_version() -> None:
    """Azure would answer 404."""
    found = follow(response(status="queued", background=True), target=AZURE)
    assert found.request.url.startswith("https://x.openai.azure.com/openai/")
    assert "/responses/resp_1" in found.request.url


@pytest.mark.parametrize("response_id", ["", "../files/secret", "a/b", "resp?x", "x" * 300, None])
def test_an_id_that_would_change_the_url_is_not_followed(response_id: Any) -> None:
    """A server could make the client send its key to another endpoint."""
    fails(response(status="queued", background=True, id=response_id))


def test_a_response_in_the_background_need_not_say_so() -> None:
    """A response of a server that does not repeat the field would fail, and go on and be billed."""
    asked = attrs.evolve(CHAT, extra_body={"background": True})
    assert isinstance(decode(response(status="queued"), asked=asked), Continuation)


def test_a_response_that_cannot_be_followed_is_named() -> None:
    """A caller could not find the response that goes on at the server."""
    error = fails(response(status="in_progress", id="resp_7"))
    assert "the response resp_7 has not ended: its status is in_progress" in str(error)


def test_a_running_response_that_was_not_asked_for_in_the_background() -> None:
    """A body that is none of a finished response would be polled forever."""
    fails(response(status="in_progress"))


# --- whatever a server sends ------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KINDS = ("message", "reasoning", "function_call", "custom_tool_call", "web_search_call", "new")
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(KINDS) | JSON,
        "content": st.lists(st.fixed_dictionaries({}, optional={"text": JSON, "refusal": JSON, "annotations": JSON}))
        | JSON,
        **dict.fromkeys(("id", "call_id", "name", "arguments", "input", "summary", "phase", "role"), JSON),
    },
)


@given(
    fields=st.fixed_dictionaries(
        {"output": st.lists(ITEMS, max_size=3) | JSON},
        optional={
            "status": st.sampled_from(("completed", "incomplete", "failed", "queued")) | JSON,
            **dict.fromkeys(("id", "error", "usage", "incomplete_details", "created_at", "model", "tools"), JSON),
        },
    )
)
def test_no_response_breaks_the_decoder(fields: dict[str, Any]) -> None:
    """A server with other types would raise an error that is none of the package's."""
    try:
        found = decode(fields)
    except errors.APIError:
        return
    if isinstance(found, ChatCompletion):
        found.to_dict()


def test_usage_is_complete() -> None:
    """Costs would be computed from wrong counts."""
    usage = reply(message("Hi"), usage=USAGE | {"cost_in_usd_ticks": 10_000_000_000}).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (36, 4)
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (87, 64)
    assert reply(message("Hi"), usage=None).usage is None
