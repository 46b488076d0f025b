"""Tests of replies without a format: their text, where it is cut, and its pieces."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.testing.formats.simulated_reply import (
    OfferedTool,
    Prompt,
    ReplyOptions,
    TextReply,
    ToolCallReply,
    choose_reply,
    count_tokens,
    split_text,
    split_words,
)


def text_reply(style: ReplyOptions | None = None, choice: int = 0, **ask: Any) -> TextReply:
    """A reply in text."""
    given_answer = choose_reply(Prompt(body={}, **ask), style or ReplyOptions(), choice)
    assert isinstance(given_answer, TextReply)
    return given_answer


@given(st.text())
def test_words_add_up(text: str) -> None:
    """Streamed and plain text would differ."""
    assert "".join(split_words(text)) == text
    assert len(split_words(text)) in (count_tokens(text), 1)


@given(st.text(min_size=1), st.integers(1, 50))
def test_pieces_add_up(text: str, pieces: int) -> None:
    """Streamed and plain text would differ, or come in the wrong number of pieces."""
    found = split_text(text, pieces)
    assert "".join(found) == text
    assert len(found) == min(pieces, len(text))
    assert all(found)


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        ({"user": "Knock knock."}, "Who's there? (choice 2)"),
        ({"user": "KNOCK, KNOCK!"}, "Who's there? (choice 2)"),
        ({"user": "Lettuce.", "assistant": "Who's there? (choice 0)"}, "Lettuce who? (choice 2)"),
        ({"user": "Why is the sky blue?"}, "You said: Why is the sky blue? (choice 2)"),
        ({"user": "x", "result": "rain", "tool": OfferedTool("f")}, "The tool says: rain (choice 2)"),
        ({"user": "hello", "wants_json": True}, '{"answer": "You said: hello (choice 2)"}'),
        ({"user": "hello", "wants_json": True, "schema": {"type": "boolean"}}, "true"),
    ],
)
def test_the_default_reply_depends_on_the_prompt(ask: dict[str, Any], text: str) -> None:
    """Replies would differ between runs, or would all be the same."""
    assert text_reply(choice=2, **ask).text == text


def test_a_long_prompt_is_not_repeated_completely() -> None:
    """A reply would be as long as the longest prompt."""
    assert count_tokens(text_reply(user="word " * 10_000).text) < 60


def test_a_tool_call_has_priority_over_text() -> None:
    """Tools could not be tested with a fixed reply text."""
    tool = OfferedTool("f", {"properties": {"a": {"type": "integer"}}})
    assert choose_reply(Prompt(body={}, tool=tool), ReplyOptions("hello"), 0) == ToolCallReply(tool, {"a": 1})
    assert choose_reply(Prompt(body={}, tool=OfferedTool("f", custom=True)), ReplyOptions(), 0).text == "some f"
    assert choose_reply(Prompt(body={}, tool=OfferedTool("f")), ReplyOptions(), 0).text == "{}"


def test_the_first_stop_sequence_cuts_before_the_limit() -> None:
    """Texts would be cut at the wrong place, or with the wrong reason."""
    cut = text_reply(ReplyOptions("one two three four"), stop=("four", "three"), max_tokens=5)
    assert (cut.text, cut.end, cut.stop_sequence) == ("one two ", "stop", "three")
    cut = text_reply(ReplyOptions("one two three four"), stop=("four",), max_tokens=2)
    assert (cut.text, cut.end, cut.stop_sequence) == ("one two", "length", None)
    whole = text_reply(ReplyOptions("one two"), max_tokens=2)
    assert (whole.text, whole.end, whole.stop_sequence) == ("one two", "stop", None)


def test_json_is_never_repeated_to_fill_chunks() -> None:
    """Structured replies would not be valid JSON."""
    assert text_reply(ReplyOptions(chunks=500), user="x", wants_json=True, schema={"type": "boolean"}).pieces == tuple(
        "true"
    )


def test_a_reply_can_be_empty() -> None:
    """An empty reply could not be tested."""
    assert text_reply(ReplyOptions("", chunks=5)).pieces == ()
