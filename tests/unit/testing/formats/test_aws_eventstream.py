"""Messages of AWS event streams whose texts are changed, as the recorder masks them."""

from __future__ import annotations

import pytest

from anycompletion.codecs.aws_eventstream import AwsEvent, AwsEventStreamParser
from anycompletion.testing.formats.aws_eventstream import event, exception, message, with_changed_texts

FIRST = event("contentBlockDelta", b'{"delta": {"text": "the secret"}}')
SECOND = exception("throttlingException", b'{"message": "no"}')
HEADERS = message(b"", {":message-type": "error", ":error-code": "x", ":error-message": "the secret"})


def masked(data: bytes) -> bytes:
    return data.replace(b"secret", b"***")


def read(body: bytes) -> list[AwsEvent]:
    parser = AwsEventStreamParser()
    events = [each for each in parser.feed(body) if isinstance(each, AwsEvent)]
    assert parser.error is None
    return events


def test_changed_messages_are_valid() -> None:
    """A recording in which something was masked could not be replayed, because its checksums would be wrong."""
    body = with_changed_texts(FIRST + SECOND + HEADERS, masked)
    assert b"secret" not in body
    first, second, third = read(body)
    assert first.data == b'{"delta": {"text": "the ***"}}'
    assert first.name == "contentBlockDelta"
    assert second.data == b'{"message": "no"}'
    assert third.headers[":error-message"] == "the ***"
    assert SECOND in body


def test_unchanged_messages_keep_their_bytes() -> None:
    """A recording would have other bytes than the provider sent."""
    flag = b"\x04flag\x00"  # a type of value that is written by no function here
    other = message(b"{}")
    other = other[:4] + len(flag).to_bytes(4, "big") + other[8:12] + flag + other[12:]
    other = len(other).to_bytes(4, "big") + other[4:]
    body = FIRST + other + SECOND
    assert with_changed_texts(body, bytes) == body


@pytest.mark.parametrize(
    "tail",
    [b"secret", FIRST[:-1], b"\x00\x00\x00\x10\x00\x00\x00\xffsecret and more", FIRST[:12] + b"\xff" * 80],
    ids=["text", "cut", "headers too long", "damaged headers"],
)
def test_what_is_no_message_is_changed_as_a_whole(tail: bytes) -> None:
    """A secret at the cut or damaged end of a body would be in the recording, or the recorder would fail the call."""
    body = with_changed_texts(SECOND + tail, masked)
    assert body == SECOND + masked(tail)
