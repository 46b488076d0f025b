"""Messages and content parts as OpenAI's JSON."""

from __future__ import annotations

from anycompletion.records import FunctionMessage, ImagePart, ImageUrl, ToolMessage
from anycompletion.validation.message_input import parse_messages


def test_a_bare_url_is_sent_as_text():
    """An image's URL that a caller wrote as text would be sent as an object."""
    (message,) = parse_messages([{"role": "user", "content": [{"type": "image_url", "image_url": "https://x"}]}])
    assert message.to_dict()["content"] == [{"type": "image_url", "image_url": "https://x"}]
    assert parse_messages([message]) == [message]


def test_a_function_without_result_has_null_content():
    """OpenAI would refuse the message for its missing content."""
    assert FunctionMessage(None, "f").to_dict() == {"content": None, "name": "f", "role": "function"}


def test_fields_that_are_not_set_are_left_out():
    """A request would contain nulls that no caller wrote."""
    assert ImagePart(ImageUrl("u")).to_dict() == {"type": "image_url", "image_url": {"url": "u"}}
    assert ToolMessage("r", "c").to_dict() == {"role": "tool", "content": "r", "tool_call_id": "c"}
