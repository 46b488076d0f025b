"""Judging of a reply in which one field was changed."""

from __future__ import annotations

import re
from typing import Any

import attrs

from anycompletion.errors import CompletionError

from . import changes, fields
from .changes import ABSENT, UNREADABLE, Place
from .responses import Reading, RecordedResponse, differing
from .rule_types import NATIVE


@attrs.frozen
class Verdict:
    """Outcome of one change."""

    outcome: str
    """same, but for the field, converted, refused, or error of a recorded error."""
    problem: str = ""
    """What is wrong; "" if nothing is."""


def judge(response: RecordedResponse, original: Reading, number: int, place: Place, kind: str) -> Verdict:
    """Changes one place of one document and judges the reply."""
    value = changes.KINDS[kind](place.value)
    found = _read(response, number, place, value)
    if found.is_foreign:
        return Verdict("foreign", f"raises {type(found.error).__name__}: {str(found.error)[:100]}")
    if response.kind == "error" or original.error is not None:
        return _judge_recorded_error(original, found, place)
    rule = fields.rule_of(response.dialect, response.kind, place.pattern)
    if rule is None:
        return _judge_unneeded(response, original, found, place)
    if rule.role == "error":
        return _judge_error(original, found, value)
    if found.error is None and kind not in ("null", "missing") and _is_empty(found) and not _is_empty(original):
        return Verdict("empty", "an empty reply in place of an error")
    wanted = changes.AMBIGUOUS if rule.convert is None else rule.convert(value)
    if wanted is changes.AMBIGUOUS:
        return Verdict("same" if found.same(original) else "refused" if found.error else "but for the field")
    if wanted is UNREADABLE:
        return _judge_unreadable(original, found)
    if rule.role == "identity" and wanted != place.value:
        return _judge_unreadable(original, found)
    if isinstance(place.path[-1], int) and wanted is None:
        return Verdict("but for the field")  # nulls in lists are left out
    expected = original
    if wanted != place.value:
        expected = _read(response, number, place, ABSENT if wanted is None else wanted)
    if found.same(expected, NATIVE):
        return Verdict("converted" if found.error is None else "refused")
    return Verdict("other value", f"not read as {_short(wanted)}: {difference(expected, found)}")


def _read(response: RecordedResponse, number: int, place: Place, value: Any) -> Reading:
    if value is ABSENT and isinstance(place.path[-1], int):
        value = None
    return response.read(number, changes.changed(response.documents[number], place.path, value))


def _judge_recorded_error(original: Reading, found: Reading, place: Place) -> Verdict:
    """Another value of a field that describes the error can make it another error, or a reply; no other field can."""
    names = re.split(r"[./]|\[[^\]]*\]|<[^>]*>", place.pattern)
    if not fields.OF_ERRORS.isdisjoint(names) or (found.same(original) and _message(found) == _message(original)):
        return Verdict("recorded error")
    return Verdict("another error", f"{difference(original, found)}, {str(original.error)[:60]!r} before")


def _message(reading: Reading) -> str:
    """The text of a reading's error, without the request's id."""
    return reading.error.message if isinstance(reading.error, CompletionError) else str(reading.error)


def _judge_unneeded(response: RecordedResponse, original: Reading, found: Reading, place: Place) -> Verdict:
    if found.same(original):
        return Verdict("same")
    if found.error is not None:
        return Verdict("lost", f"costs the reply: {type(found.error).__name__}: {str(found.error)[:100]}")
    allowed = fields.places_of(response.dialect, place.pattern)
    others = [path for path in differing(original.reply, found.reply) if not _is_in(path, allowed, response.dialect)]
    if others:
        return Verdict("others changed", f"changes {', '.join(sorted(set(others))[:3])}")
    return Verdict("but for the field")


def _judge_error(original: Reading, found: Reading, value: Any) -> Verdict:
    is_empty = isinstance(value, dict) and not any(value.values())
    if value is ABSENT or is_empty or value in (None, "", [], False, [None]):
        return Verdict("same") if found.same(original) else Verdict("others changed", "no error, yet another reply")
    if isinstance(found.error, CompletionError):
        return Verdict("refused")
    return Verdict("not raised", f"an error of {_short(value)} is not raised")


def _judge_unreadable(original: Reading, found: Reading) -> Verdict:
    if found.error is not None:
        return Verdict("refused")
    if found.same(original, NATIVE):
        return Verdict("inferred")
    return Verdict("lost silently", f"a part of the reply is lost silently: {difference(original, found)}")


def _is_in(path: str, allowed: list[str], dialect: str) -> bool:
    names = path.split(".")
    for place in allowed:
        if "." not in place and dialect != "openai_chat" and place in names:
            return True
        if path == place or path.startswith(f"{place}."):
            return True
    return False


def difference(expected: Reading, found: Reading) -> str:
    """The difference between two readings in a few words."""
    if expected.error is not None or found.error is not None:
        texts = [
            "a reply" if each.error is None else f"{type(each.error).__name__} ({str(each.error)[:80]})"
            for each in (expected, found)
        ]
        return f"expected {texts[0]}, got {texts[1]}"
    if not isinstance(expected.reply, dict) or not isinstance(found.reply, dict):
        return "another next request"
    return f"other {', '.join(sorted(set(differing(expected.reply, found.reply)))[:3])}"


def _is_empty(reading: Reading) -> bool:
    """Whether a reply has no choice with anything in it."""
    choices = reading.reply.get("choices") if isinstance(reading.reply, dict) else ()
    if choices == ():
        return False
    return not any(_has_content(choice["message"]) for choice in choices)


def _has_content(message: dict[str, Any]) -> bool:
    return any(value for name, value in message.items() if name != "role")


def _short(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:40]
