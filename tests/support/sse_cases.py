"""Event streams as test cases: a name, a body, and the events that a parser must return (WHATWG HTML 9.2.6).

An event is its data as text, or (name, data) if it has a name. Two choices that the standard leaves open are this
package's: an event without a name is unnamed, not "message"; `id` and `retry` have no effect, because a stream is never
reconnected. `ONE_LINE_APART` differs from the standard where the data leave no doubt.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

BOM = b"\xef\xbb\xbf"

Seen: TypeAlias = "str | tuple[str, str]"


class Case(NamedTuple):
    """A body and its events."""

    body: bytes
    events: list[Seen]


def case(body: bytes | str, *events: Seen) -> Case:
    return Case(body.encode() if isinstance(body, str) else body, list(events))


LINE_ENDS = {
    "lf": case("data: one\n\ndata: two\n\n", "one", "two"),
    "crlf": case("data: one\r\n\r\ndata: two\r\n\r\n", "one", "two"),
    "cr": case("data: one\r\rdata: two\r\r", "one", "two"),
    "lf then cr": case("data: one\n\rdata: two\r\n\r\n", "one", "two"),
    "crlf then cr": case("data: one\r\n\rdata: two\n\n", "one", "two"),
    "crlf then lf": case("data: one\r\n\ndata: two\n\n", "one", "two"),
    "cr then crlf": case("data: one\r\r\ndata: two\r\r\n", "one", "two"),
    "lf then crlf": case("data: one\n\r\ndata: two\n\r\n", "one", "two"),
    "mixed line ends": case("event: a\rdata: 1\ndata: 2\r\n\ndata: 3\r\r", ("a", "1\n2"), "3"),
    "crlf is one end, not two": case("data: a\r\ndata: b\r\n\r\n", "a\nb"),
    "lf cr is two ends": case("data: a\n\rdata: b\n\n", "a", "b"),
    "nothing but line ends": case("\r\n\n\r\r\n\n"),
}

MARKS = {
    "a BOM": case(BOM + b"data: x\n\n", "x"),
    "only a BOM": case(BOM),
    "a BOM before a comment": case(BOM + b": hi\n\ndata: x\n\n", "x"),
    "a BOM before a blank line": case(BOM + b"\n\ndata: x\n\n", "x"),
    "a BOM before a name": case(BOM + b"event: a\r\ndata: x\r\n\r\n", ("a", "x")),
    "two bytes of a BOM": case(b"\xef\xbbdata: x\n\ndata: y\n\n", "y"),
    "one byte of a BOM": case(b"\xefdata: x\n\ndata: y\n\n", "y"),
    "a second BOM is part of the field's name": case(BOM + BOM + b"data: x\n\ndata: y\n\n", "y"),
    "a BOM before the second event": case(b"data: x\n\n" + BOM + b"data: y\n\ndata: z\n\n", "x", "z"),
    "a BOM in a value is data": case(b"data: " + BOM + b"x\n\n", "\ufeffx"),
}

FIELDS = {
    "no space": case("data:x\n\n", "x"),
    "one space is dropped, the next is kept": case("data:   x \n\n", "  x "),
    "a tab is kept": case("data:\tx\n\n", "\tx"),
    "colons in the value": case('data: {"u": "http://h:1"}\n\n', '{"u": "http://h:1"}'),
    "only the first colon counts": case("data::x\n\n", ":x"),
    "a space before the colon makes another field": case("data : no\ndata: x\n\n", "x"),
    "several lines of data": case("data: a\ndata:\ndata: c\n\n", "a\n\nc"),
    "lines of JSON": case('data: {\ndata:  "a": 1\ndata: }\n\n', '{\n "a": 1\n}'),
    "an empty value": case("data:\n\ndata: \n\n", "", ""),
    "a field without a colon": case("data\n\ndata\ndata\n\n", "", "\n"),
    "an empty line of data before another": case("data\ndata: x\n\n", "\nx"),
    "names are case-sensitive": case("DATA: no\nData: no\ndata: x\n\n", "x"),
    "a space before the name makes another field": case(" data: no\ndata: x\n\n", "x"),
    "a longer name is another field": case("data2: no\ndatax\ndata: x\n\n", "x"),
    "a shorter name is another field": case("dat: no\nd\ndata: x\n\n", "x"),
    "unknown fields": case("foo: bar\nfoo\ndata: x\n: c\nbar:\n\n", "x"),
    "an id": case("id: 7\ndata: x\n\ndata: y\nid\n\n", "x", "y"),
    "an id with a nul": case(b"id: 7\0\ndata: x\n\n", "x"),
    "a reconnection time": case("retry: 500\ndata: x\n\nretry: soon\ndata: y\nretry\n\n", "x", "y"),
}

NAMES = {
    "a name": case("event: ping\ndata: x\n\n", ("ping", "x")),
    "a name without a space": case("event:ping\ndata:x\n\n", ("ping", "x")),
    "the name after the data": case("data: x\nevent: error\n\n", ("error", "x")),
    "the last name counts": case("event: a\nevent: b\ndata: x\n\n", ("b", "x")),
    "an empty name resets the name": case("event: a\nevent\ndata: x\n\n", "x"),
    "a name applies to one event": case("event: a\ndata: x\n\ndata: y\n\n", ("a", "x"), "y"),
    "a name without data is forgotten": case("event: a\n\ndata: x\n\n", "x"),
    "an empty name": case("event:\ndata: x\n\n", "x"),
    "a name that is not utf-8": case(b"event: \xff\ndata: x\n\n", ("\ufffd", "x")),
    "many named events": case("event: a\ndata: 1\n\n" * 5, *[("a", "1")] * 5),
}

NO_EVENTS = {
    "a comment": case(": keep-alive\n\ndata: x\n\n", "x"),
    "an empty comment": case(":\n\n:\n:\ndata: x\n\n", "x"),
    "a comment within an event": case("data: a\n: data: no\ndata: b\n\n", "a\nb"),
    "a comment right after an event's data": case("data: a\n:\n\ndata: b\n\n", "a", "b"),
    "comments with every line end": case(": a\r: b\n: c\r\n\r\ndata: x\r\r", "x"),
    "blank lines first": case("\n\r\n\r\n\ndata: x\n\n", "x"),
    "many blank lines": case("data: x\n\n\n\n\n\ndata: y\n\n\n", "x", "y"),
    "an odd number of blank lines": case("data: x\n\n\ndata: y\n\n", "x", "y"),
    "an event with only an id": case("id: 1\n\ndata: x\n\n", "x"),
    "an event with only a reconnection time": case("retry: 9\n\ndata: x\n\n", "x"),
    "events without data": case("id: 1\nretry: 9\n\nevent: a\nid: 2\n\nfoo\n\n:\n\ndata: x\n\n", "x"),
}

VALUES = {
    "line ends of str.splitlines only": case(
        "data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei\n\n", "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei"
    ),
    "line ends of str.splitlines in a comment": case(": a\u2028data: no\x0bdata: no\x85\ndata: x\n\n", "x"),
    "nul": case("data: a\0b\n\n", "a\0b"),
    "two bytes of one character": case("data: é\n\n", "é"),
    "three bytes of one character": case("data: €\n\n", "€"),
    "four bytes of one character": case("data: \U0001f600\n\n", "\U0001f600"),
    "characters over several lines": case("data: \U0001f600€\r\ndata: é\r\n\r\n", "\U0001f600€\né"),
    "invalid utf-8": case(b"data: a\xff\xe2\x82b\n\ndata: y\n\n", "a\ufffd\ufffdb", "y"),
    "a character cut by a line end": case(b"data: \xe2\x82\n\ndata: y\n\n", "\ufffd", "y"),
    "a surrogate in utf-8": case(b"data: \xed\xa0\x80\n\n", "\ufffd\ufffd\ufffd"),
    "a line end in too many bytes": case(b"data: a\xc0\x8ab\n\n", "a\ufffd\ufffdb"),
    "an escaped line end": case('data: "a\\nb"\n\n', '"a\\nb"'),
}

ENDS = {
    "nothing": case(""),
    "an event without its blank line": case("data: x\n\ndata: cut\n", "x"),
    "an event without its line end": case("data: x\n\ndata: cut", "x"),
    "a field cut in its name": case("data: x\n\nda", "x"),
    "a named event cut": case("data: x\n\nevent: a\ndata: cut\n", "x"),
    "a character cut": case(b"data: x\n\ndata: \xe2\x82", "x"),
    "an event cut before the second half of its crlf": case("data: x\r\n\r", "x"),
    "an event cut between its crlfs": case("data: x\r\n\r\ndata: cut\r\n", "x"),
    "a lone cr at the end": case("data: x\r"),
    "done": case('data: {"a": 1}\n\ndata: [DONE]\n\n', '{"a": 1}', "[DONE]"),
}

ONE_LINE_APART = {
    "objects": case('data: {"a": 1}\ndata: {"b": 2}\n\n', '{"a": 1}', '{"b": 2}'),
    "three objects": case('data:{"a":1}\r\ndata:{"b":2}\r\ndata:{"c":3}\r\n\r\n', '{"a":1}', '{"b":2}', '{"c":3}'),
    "an object and the end marker": case('data: {"a": 1}\ndata: [DONE]\n\n', '{"a": 1}', "[DONE]"),
    "lists": case('data: ["a"]\ndata: ["b"]\n\n', '["a"]', '["b"]'),
    "one object over lines": case('data: {"a":\ndata: {"b": 2}\ndata: }\n\n', '{"a":\n{"b": 2}\n}'),
    "an object with a raw line end": case('data: {"a": "x}\ndata: {y"}\n\n', '{"a": "x}\n{y"}'),
    "texts": case("data: 1\ndata: 2\n\n", "1\n2"),
    "objects of a named event": case('event: e\ndata: {"a": 1}\ndata: {"b": 2}\n\n', ("e", '{"a": 1}\n{"b": 2}')),
    "an object and more of a name": case('data: {"a": 1}\nevent: e\n\n', ("e", '{"a": 1}')),
}

WITHOUT_FIELD = {
    "an object, without a field": case(
        'data: {"a": 1}\n\n{"b": 2}\n\ndata: {"c": 3}\n\n', '{"a": 1}', '{"b": 2}', '{"c": 3}'
    ),
    "an object at the start, without a field": case('{"b": 2}\n\ndata: {"c": 3}\n\n', '{"b": 2}', '{"c": 3}'),
    "an object with its line end, without a field": case('data: {"a": 1}\r\n\r\n{"b": 2}\r\n', '{"a": 1}', '{"b": 2}'),
    "an object one line apart, without a field": case('data: {"a": 1}\n{"b": 2}\n', '{"a": 1}', '{"b": 2}'),
    "an object within an event, without a field": case(
        'data: {"a":\n{"b": 2}\ndata: 1}\n\n{"c": 3}\n', '{"a":\n1}', '{"c": 3}'
    ),
    "an object after a named event, without a field": case(
        'event: e\ndata: {"a": 1}\n{"b": 2}\n', ("e", '{"a": 1}'), '{"b": 2}'
    ),
    "half an object, without a field": case('data: {"a": 1}\n\n{"b":\n\n2}\n\n', '{"a": 1}'),
    "a list and a text, without a field": case('["b"]\n\n"b"\n\ndata: {"a": 1}\n\n', '{"a": 1}'),
}

CASES: Mapping[str, Case] = {
    **LINE_ENDS,
    **MARKS,
    **FIELDS,
    **NAMES,
    **NO_EVENTS,
    **VALUES,
    **ENDS,
    **ONE_LINE_APART,
    **WITHOUT_FIELD,
}
"""Cases that are parsed with every cut."""

UNFINISHED: Mapping[str, tuple[str, list[Seen]]] = {
    "an object": ('data: {"a": 1}', ['{"a": 1}']),
    "an object with its line end": ('data: {"a": 1}\n', ['{"a": 1}']),
    "an object with half a line end": ('data: {"a": 1}\r', ['{"a": 1}']),
    "an object over lines": ('data: {"a":\ndata: 1}', ['{"a":\n1}']),
    "two objects": ('data: {"a": 1}\ndata: {"b": 2}', ['{"a": 1}', '{"b": 2}']),
    "a named object": ('event: e\ndata: {"a": 1}', [("e", '{"a": 1}')]),
    "a list": ("data: [1]", ["[1]"]),
    "the end marker": ("data: [DONE]", ["[DONE]"]),
    "an object without a field": ('{"a": 1}', ['{"a": 1}']),
    "half an object without a field": ('{"a": 1', []),
    "half an object": ('data: {"a": 1', []),
    "half a list": ("data: [1", []),
    "two halves of an object": ('data: {"a": 1}}', []),
    "half an end marker": ("data: [DON", []),
    "a number": ("data: 17", []),
    "a text": ('data: "x"', []),
    "a word": ("data: Hello.", []),
    "no data": ("data", []),
    "a name": ("event: e", []),
    "a comment": (": {}", []),
}
"""The end of a body after a whole event → the events that it completes."""

KIB = 1024

LARGE: Mapping[str, Callable[[], Case]] = {
    "a line of 100 KB": lambda: case("data: " + "x" * 100_000 + "\n\ndata: y\n\n", "x" * 100_000, "y"),
    "a line of 10 MB": lambda: case("data: " + "x" * 10**7 + "\r\n\r\n", "x" * 10**7),
    "100,000 lines of data": lambda: case("data: x\n" * 10**5 + "\n", "x" + "\nx" * (10**5 - 1)),
    "100,000 empty lines of data": lambda: case("data\r\n" * 10**5 + "\r\n", "\n" * (10**5 - 1)),
    "a comment of 10 MB": lambda: case(":" + "c" * 10**7 + "\n\ndata: x\n\n", "x"),
    "9,000 comments": lambda: case(": keep-alive\n\n" * 9_000 + "data: x\n\n", "x"),
    "a name of 100 KB": lambda: case("event: " + "e" * 10**5 + "\ndata: x\n\n", ("e" * 10**5, "x")),
    "the largest event": lambda: case("data: " + "x" * (16 * KIB * KIB - 6) + "\n\n", "x" * (16 * KIB * KIB - 6)),
}
"""Cases that are parsed in pieces of a few sizes, and cut near both ends."""

TOO_LARGE: Mapping[str, Callable[[], Case]] = {
    "a line": lambda: case("data: y\n\ndata: " + "x" * 16 * KIB * KIB + "\n\ndata: z\n\n", "y"),
    "a line without an end": lambda: case("data: y\n\n" + "x" * 17 * KIB * KIB, "y"),
    "many lines": lambda: case("data: y\n\n" + ("data: " + "x" * KIB + "\n") * 16 * KIB + "\ndata: z\n\n", "y"),
    "a comment": lambda: case("data: y\r\n\r\n:" + "c" * 17 * KIB * KIB + "\r\ndata: z\r\n\r\n", "y"),
}
"""Cases that are refused, after the events before the large one."""
