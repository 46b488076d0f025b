"""One item of a stream: what of it was sent, and by what it is recognized. No I/O.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from ...codecs.lenient import ShapeError
from ...records import JsonObject


class OpenAIStreamItem:
    """An output item of a stream."""

    __slots__ = (
        "annotated",
        "call_id",
        "commentary",
        "done",
        "early",
        "has_name",
        "id",
        "index",
        "key",
        "kind",
        "number",
        "part",
        "pieces",
        "sent",
        "starts",
        "thinks_in",
    )

    def __init__(self, index: int | None, key: int, kind: str) -> None:
        self.index = index
        """The number that the server gave it; None if it is unknown."""
        self.key = key
        """Its place among the items."""
        self.kind = kind
        """Its type; "" if it is unknown."""
        self.id = self.call_id = ""
        """Its ids, once it was announced; "" for none."""
        self.sent: dict[object, list[str]] = {}
        """Content part, refusal of one, or arguments → the pieces that were sent."""
        self.early: list[str] = []
        """Pieces of arguments that came before it was known to be a call."""
        self.commentary = False
        """Whether it is a message before the answer."""
        self.part = -1
        """The content part of the last piece of text."""
        self.pieces: list[str] = []
        """The pieces of that part."""
        self.starts: dict[int, int] = {}
        """Content part of which text was sent → where it begins in the content."""
        self.annotated: set[int] = set()
        """Content parts of which annotations were sent."""
        self.number = -1
        """Its place among the calls; -1 for what is no call."""
        self.has_name = False
        """Whether a call's name was sent."""
        self.thinks_in = ""
        """Which of its texts is the reasoning that was sent; "" for none yet."""
        self.done: JsonObject | None = None
        """The whole item, once it came."""


def ids_of(item: JsonObject) -> tuple[object, object]:
    """The ids of an item, that of a call first."""
    return item.get("call_id"), item.get("id")


def is_other(known: OpenAIStreamItem, item: JsonObject, *names: str) -> bool:
    """Whether an item is not the known one; of its ids that both have, the first one decides."""
    for name in names:
        old, new = getattr(known, name), item.get(name)
        if old and new:
            return bool(old != new)
    return False


def rest_of(pieces: list[str] | None, whole: str, path: str) -> str:
    """What of a whole text is after the pieces that were sent; "" where it is the same but for blanks.

    Raises:
        ShapeError: it does not begin with them.
    """
    if not pieces:
        return whole
    sent = "".join(pieces)
    if whole.startswith(sent):
        return whole[len(sent) :]
    if "".join(sent.split()).startswith("".join(whole.split())):
        return ""
    raise ShapeError(path, "a text that begins with the pieces before it", whole)


def _has_call_id_of(known: OpenAIStreamItem, place: int, item: JsonObject) -> bool:
    return bool(known.call_id) and known.call_id == item.get("call_id")


def _has_id_of(known: OpenAIStreamItem, place: int, item: JsonObject) -> bool:
    return bool(known.id) and known.id == item.get("id")


def _has_place_of(known: OpenAIStreamItem, place: int, item: JsonObject) -> bool:
    return known.key == place and _has_kind_of(known, place, item)


def _has_kind_of(known: OpenAIStreamItem, place: int, item: JsonObject) -> bool:
    return known.kind in ("", item["type"]) and not is_other(known, item, "call_id")


def _has_call_of(known: OpenAIStreamItem, place: int, item: JsonObject) -> bool:
    """Whether both are the same call, whose id the server has changed."""
    done = known.done
    return done is not None and known.number >= 0 and all(done.get(name) == item.get(name) for name in _OF_CALL)


_OF_CALL = ("type", "name", "arguments", "input")
MATCHES = (_has_call_id_of, _has_id_of, _has_place_of, _has_kind_of, _has_call_of)
"""How items of the whole output are found among those of the stream; the first that finds one decides."""
