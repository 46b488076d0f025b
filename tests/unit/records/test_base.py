"""All records: equality, reprs, copies and pickles."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

from anycompletion import records
from anycompletion.records import (
    ChatCompletionMessage,
    ChatRequest,
    ImageUrl,
    Record,
    RefusalPart,
    TextPart,
    Usage,
    UserMessage,
    plain,
)


def test_equality_requires_the_same_type():
    """A part would equal a message with the same fields."""
    assert UserMessage("x") == UserMessage("x")
    assert UserMessage("x") != UserMessage("x", extra={"a": 1})
    assert TextPart("x") != RefusalPart("x")
    assert UserMessage("x") != {"role": "user", "content": "x"}
    assert UserMessage("x").__eq__("x") is NotImplemented


RECORDS = sorted(
    (cls for cls in vars(records).values() if isinstance(cls, type) and issubclass(cls, Record) and cls is not Record),
    key=lambda cls: cls.__name__,
)


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_every_record(cls: type[Record]):
    """A record would lack equality, copies, pickles or an `extra` of its own, or have a hash."""

    def make() -> Any:
        required = [a for a in attrs.fields(cls) if a.default is attrs.NOTHING]
        needed = {"message": ChatCompletionMessage(), "image_url": ImageUrl("u")}
        return cls(**{a.alias: needed.get(a.name, "x") for a in required})

    record = make()
    assert record == make()
    assert record.to_dict() == make().to_dict()
    for copied in (pickle.loads(pickle.dumps(record)), copy.copy(record), copy.deepcopy(record)):  # noqa: S301
        assert copied == record
    with pytest.raises(TypeError, match="unhashable"):
        hash(record)
    assert repr(record).startswith(cls.__name__ + "(") or cls is ChatRequest
    if hasattr(record, "extra"):
        record.extra["a"] = UserMessage("x")
        assert make().extra == {}
        assert record != make()
        assert record.to_dict()["a"] == {"role": "user", "content": "x"}
    assert not hasattr(record, "__dict__")


def test_reprs_leave_out_fields_that_are_not_set():
    """A reply in a debugger would be a page of None."""
    assert repr(UserMessage("x")) == "UserMessage(content='x', role='user')"
    assert repr(Usage(1)) == "Usage(prompt_tokens=1)"
    assert repr(TextPart("x", extra={"a": 1})) == "TextPart(text='x', type='text', extra={'a': 1})"


def test_plain():
    """Records inside of dicts, lists and tuples would not become JSON."""
    value = {"a": (TextPart("x"), [{"b": UserMessage("y")}]), "c": None, 1: 2.5}
    assert plain(value) == {
        "a": [{"text": "x", "type": "text"}, [{"b": {"content": "y", "role": "user"}}]],
        "c": None,
        1: 2.5,
    }
