"""Lenient reading: null and missing fields are accepted, wrong types are named with their path."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs import json, lenient
from anycompletion.codecs.lenient import NotJSONError, ShapeError

READ_WITH_PATH: list[tuple[Callable[[object, str], Any], Any, Any]] = [
    (lenient.as_object, {"a": 1}, {"a": 1}),
    (lenient.as_object, [{"a": 1}], {"a": 1}),
    (lenient.as_object, ' {"a": [1]}', {"a": [1]}),
    (lenient.as_optional_object, {}, {}),
    (lenient.as_optional_object, None, None),
    (lenient.as_list, [1], [1]),
    (lenient.as_list, [None, 1, None], [1]),
    (lenient.as_list, {"a": 1}, [{"a": 1}]),
    (lenient.as_list, None, []),
]

READ: list[tuple[Callable[[object], Any], Any, Any]] = [
    (lenient.as_str, "x", "x"),
    (lenient.as_str, "", ""),
    (lenient.as_str, None, ""),
    (lenient.as_str, 1, "1"),
    (lenient.as_str, 0.5, "0.5"),
    (lenient.as_str, False, "false"),
    (lenient.as_str, {"a": "é"}, '{"a":"é"}'),
    (lenient.as_str, [1], "[1]"),
    (lenient.as_str, ["a", "b"], "ab"),
    (lenient.as_str, ["a", None, "b"], "ab"),
    (lenient.as_str, [None], ""),
    (lenient.as_str, ["a", 1], '["a",1]'),
    (lenient.as_str, 10**40, "1" + "0" * 40),
    (lenient.as_optional_str, "", ""),
    (lenient.as_optional_str, None, None),
    (lenient.as_optional_str, {}, "{}"),
    (lenient.optional_object, {"a": 1}, {"a": 1}),
    (lenient.optional_object, [{"a": 1}], {"a": 1}),
    (lenient.optional_object, '{"a": 1}', {"a": 1}),
    (lenient.optional_object, '[{"a": 1}]', None),
    (lenient.optional_object, "{a}", None),
    (lenient.optional_object, [{}, {}], None),
    (lenient.optional_object, 1, None),
    (lenient.optional_list, [1, None], [1]),
    (lenient.optional_list, {"a": 1}, [{"a": 1}]),
    (lenient.optional_list, "ab", None),
    (lenient.optional_list, None, None),
    (lenient.optional_objects, [{"a": 1}, None, "x", '{"b": 2}'], [{"a": 1}, {"b": 2}]),
    (lenient.optional_objects, "x", None),
    (lenient.optional_str, "x", "x"),
    (lenient.optional_str, "", ""),
    (lenient.optional_str, 7, "7"),
    (lenient.optional_str, 1.5, "1.5"),
    (lenient.optional_str, ["x"], "x"),
    (lenient.optional_str, True, None),
    (lenient.optional_str, {}, None),
    (lenient.optional_str, ["x", "y"], None),
    (lenient.optional_str, None, None),
    (lenient.optional_int, 3, 3),
    (lenient.optional_int, -(10**30), -(10**30)),
    (lenient.optional_int, 3.0, 3),
    (lenient.optional_int, 1744000000.5, 1744000000),
    (lenient.optional_int, " 12 ", 12),
    (lenient.optional_int, "12.7", 12),
    (lenient.optional_int, [4], 4),
    (lenient.optional_int, True, None),
    (lenient.optional_int, "12 tokens", None),
    (lenient.optional_int, "٣", None),
    (lenient.optional_int, "9" * 400, None),
    (lenient.optional_int, math.inf, None),
    (lenient.optional_int, math.nan, None),
    (lenient.optional_int, 10**301, None),
    (lenient.optional_int, {}, None),
    (lenient.optional_int, None, None),
    (lenient.optional_float, 0.5, 0.5),
    (lenient.optional_float, 2, 2.0),
    (lenient.optional_float, "-1.5e2", -150.0),
    (lenient.optional_float, [0.5], 0.5),
    (lenient.optional_float, 10**300, 1e300),
    (lenient.optional_float, 10**400, None),
    (lenient.optional_float, True, None),
    (lenient.optional_float, "", None),
    (lenient.optional_float, None, None),
]

WRONG: list[tuple[Callable[[object, str], Any], Any, str]] = [
    (lenient.as_object, None, "an object, found NoneType"),
    (lenient.as_object, [], "an object, found list"),
    (lenient.as_object, "x", "an object, found str"),
    (lenient.as_object, "{", "an object, found str"),
    (lenient.as_optional_object, "", "an object, found str"),
    (lenient.as_list, "abc", "an array, found str"),
    (lenient.as_list, 0, "an array, found int"),
]

JSON: list[tuple[bytes, Any]] = [
    (b'{"a": [1, 2.5, null, true, "x"]}', {"a": [1, 2.5, None, True, "x"]}),
    (b'"\xff"', "\ufffd"),
    (b'"\xe2\x82"', "\ufffd"),
    (b'"\\ud800x"', "\ufffdx"),
    (b'["\\ud83d\\ude00"]', ["\U0001f600"]),
    (b'{"\\udfff": {"b": "\\ud800"}}', {"\ufffd": {"b": "\ufffd"}}),
    (b"[Infinity, -Infinity]", [math.inf, -math.inf]),
    (b'{"a": 1, "a": 2}', {"a": 2}),
    (b"1e400", math.inf),
    (b"1" * 5000, math.inf),
    (b"[-" + b"1" * 5000 + b"]", [-math.inf]),
    (b" 1 ", 1),
    (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    (b'"a\tb\x1bc\nd"', "a\tb\x1bc\nd"),
]

NOT_JSON = [b"", b" ", b"{", b"<html>", b"{'a': 1}", b'{"a": 1} x', b"\x00", b"nul"]


@pytest.mark.parametrize(("read", "value", "result"), READ_WITH_PATH)
def test_objects_and_lists_are_converted(read: Callable[[object, str], Any], value: Any, result: Any):
    """A reply with a null in a list, or an object as JSON text, would be refused."""
    assert read(value, "a.b") == result


@pytest.mark.parametrize(("read", "value", "result"), READ)
def test_values_are_converted(read: Callable[[object], Any], value: Any, result: Any):
    """A number as text, or another type of a field that the reply can do without, would cost the reply."""
    found = read(value)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(("read", "value", "text"), WRONG)
def test_wrong_types_are_refused(read: Callable[[object, str], Any], value: Any, text: str):
    """A wrong type would be hidden by a guess, or reported without its path."""
    with pytest.raises(ShapeError) as caught:
        read(value, "choices[0].x")
    assert str(caught.value) == f"choices[0].x: expected {text}"
    assert caught.value.path == "choices[0].x"


def test_a_nan_is_a_number():
    """A log probability of NaN would make the reply fail."""
    found = lenient.optional_float(math.nan)
    assert found is not None
    assert math.isnan(found)


def test_unknown_fields():
    """Members without a field would be lost, or those with one be duplicated."""
    known = frozenset({"a", "b"})
    assert lenient.unknown_fields({"a": 1, "c": None, "d": 2}, known) == {"c": None, "d": 2}
    assert lenient.unknown_fields({"a": 1}, known) == {}
    assert lenient.unknown_fields({}, known) == {}


@pytest.mark.parametrize(("data", "value"), JSON)
def test_invalid_bytes_are_replaced(data: bytes, value: Any):
    """One invalid byte or a lone surrogate would make a whole reply fail."""
    assert lenient.loads(data) == value


@pytest.mark.parametrize("data", NOT_JSON)
def test_bytes_that_are_not_json(data: bytes):
    """The parser's own exception would reach the caller."""
    with pytest.raises(NotJSONError, match=r"^not JSON$") as caught:
        lenient.loads(data)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("loads", [lenient.loads, json.loads])
def test_deep_nesting(loads: Callable[[bytes], Any]):
    """A hostile server could raise a RecursionError in the call, or when the reply is printed."""
    deep = b"[" * 200 + b"]" * 200
    for data in (b"[" * 200_000, b"[" + deep + b"]", b'{"a": ' * 201 + b"1" + b"}" * 201):
        with pytest.raises(NotJSONError, match=r"^nested too deeply$"):
            loads(data)
    assert repr(loads(deep)) == deep.decode()
    assert len(loads(b"[" + b"[]," * 5000 + b"[]]")) == 5001
    assert loads(b'"' + b"[" * 5000 + b'"') == "[" * 5000


LEVELS = [b"[", b'{"a":', b'["]",', b'["\\"]",', b'["\\\\",', b'[{"]}":"]","b":', b"[\xff\x01"]
"""Levels of nested JSON, also with texts whose brackets seem to end them."""

STACK = 128 * 1024
"""Bytes of a thread's stack that decoding 300,000 levels would exceed."""


def test_deep_json_is_refused_before_it_is_decoded():
    """Python 3.11 would crash where the recursion limit is high or the stack of a thread small."""
    script = f"""
        import sys, threading
        from anycompletion.codecs import json, lenient
        from anycompletion.codecs.sse import SSEParser
        from anycompletion.dialects.openai_chat.fast_chunks import chunk_decoder, read_chunk
        sys.setrecursionlimit(10**7)
        def refuse():
            for level in {LEVELS!r}:
                data = 300_000 * level
                for loads in (json.loads, lenient.loads, json.raw_fields):
                    try:
                        loads(data)
                    except json.NotJSONError:
                        print("refused")
                assert read_chunk(b'{{"x":' + data, chunk_decoder().decode) is None
                for before in (b"", b"data: {{}}\\n", b"data: {{\\n", b"event: error\\n"):
                    parser = SSEParser()
                    parser.feed(before + b'{{"x":' + data + b"}}\\n\\n")
                    parser.feed(b"data: " + data + b"\\ndata: " + data + b"\\n")
                    parser.finish()
        threading.stack_size({STACK})
        thread = threading.Thread(target=refuse)
        thread.start()
        thread.join()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"refused") == 3 * len(LEVELS)


WIDE: list[tuple[Any, int, int]] = [
    ([], 1, 1),
    ("a,[{", 0, 0),
    (["a", "b,c", '"[', "\\", '\\",['], 5, 1),
    ({"a,": [1, {}], "b": {"[": "]"}}, 6, 3),
    ([[[]], [[], "]"]], 7, 3),
]
"""Values, the commas and brackets that separate their parts, and their levels."""


@pytest.mark.parametrize(("value", "separators", "depth"), WIDE, ids=repr)
def test_structure_is_counted_outside_of_texts(value: Any, separators: int, depth: int):
    """A text with many commas or brackets would be refused, or many values in little JSON fill the memory."""
    data = json.dumps(value)
    lenient.check_structure(data, separators, depth)
    if separators:
        with pytest.raises(NotJSONError, match=r"^too many values$"):
            lenient.check_structure(data, separators - 1, depth)
        with pytest.raises(NotJSONError, match=r"^nested too deeply$"):
            lenient.check_structure(data, separators, depth - 1)


@pytest.mark.parametrize("loads", [lenient.loads, json.loads])
def test_many_values_are_refused(loads: Callable[[bytes], Any]):
    """A reply of 30 MB could take a gigabyte, and block the event loop for seconds."""
    with pytest.raises(NotJSONError, match=r"^too many values$"):
        loads(b"[" + b"[]," * 3_000_000 + b"[]]")
    assert len(loads(b'["' + b"," * 6_000_000 + b'"]')) == 1


_TEXTS = st.text('[]{},"\\a', max_size=6)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.recursive(
        st.none() | _TEXTS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
        max_leaves=30,
    )
)
def test_structure_of_any_json(value: Any):
    """Some text would change the count of levels or separators."""

    def count(part: Any) -> tuple[int, int]:
        if not isinstance(part, (list, dict)):
            return 0, 0
        items: list[Any] = list(cast("dict[str, Any]", part).values()) if isinstance(part, dict) else part
        inner = [count(item) for item in items]
        return max(len(items), 1) + sum(each[0] for each in inner), 1 + max((each[1] for each in inner), default=0)

    separators, depth = count(value)
    data = json.dumps(value)
    lenient.check_structure(data, separators, depth)
    for fewer in ((separators - 1, depth), (separators, depth - 1)):
        if depth:
            with pytest.raises(NotJSONError):
                lenient.check_structure(data, *fewer)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes):
    """Some bytes would raise another exception, or leave text that cannot be encoded."""
    try:
        value = lenient.loads(data)
    except NotJSONError:
        return
    repr(value).encode()
