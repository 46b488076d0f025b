"""The dialect seam: each dialect names its stream framing and the class of its quirks."""

from collections.abc import Container

import pytest
from benchmarks.fuzz.recorded.rules import RULES
from benchmarks.fuzz.seeds import SEEDS

from anycompletion import PROVIDERS, APIResponseError, ChatRequest, ConfigurationError, Headers, Provider, Quirks
from anycompletion.dialects.base import DialectQuirks, Framing, Target
from anycompletion.http import HttpResponse
from anycompletion.providers import DIALECTS
from anycompletion.testing.formats.aws_eventstream import message
from conformance.formats import FORMATS
from support.simulated import MODEL_BY_DIALECT


class _OtherQuirks(DialectQuirks):
    """Quirks of no dialect."""


@pytest.mark.parametrize("name", DIALECTS)
def test_each_dialect_has_the_name_of_its_folder(name: str) -> None:
    """A provider would get another dialect than the one its row names."""
    assert DIALECTS[name].name == name


@pytest.mark.parametrize("name", DIALECTS)
def test_each_stream_has_its_own_parser(name: str) -> None:
    """Two streams would share unfinished bytes, or a dialect would have no framing."""
    first: Framing = DIALECTS[name].framing()
    second: Framing = DIALECTS[name].framing()
    match first.body_kind:
        case "events":
            one, other = b"data: {}\n\n", b"data: []\n\n"
        case "json":
            one, other = b'{"a": 1}\n', b"[]\n"
        case _:
            one, other = message(b"{}"), message(b"[]")
    assert first.feed(one[:7]) == []
    assert [event.data for event in second.feed(other)] == [b"[]"]
    assert len(first.feed(one[7:])) == 1
    assert first.error is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7"])
@pytest.mark.parametrize("name", DIALECTS)
def test_a_reply_that_cannot_be_read_may_have_been_billed(name: str, body: bytes) -> None:
    """A caller who pays for each request would not learn that this one may have cost something."""
    target = Target(provider="acme", model="m", base_url="https://api.acme.ai", quirks=DIALECTS[name].quirks_type())
    with pytest.raises(APIResponseError) as caught:
        DIALECTS[name].decode(HttpResponse(200, Headers.of({}), body), ChatRequest("m", "Hello."), target)
    assert caught.value.maybe_billed


@pytest.mark.parametrize("name", DIALECTS)
def test_a_row_has_quirks_of_its_dialects_class(name: str) -> None:
    """The classes that rows are checked with would differ from those that the dialects name."""
    assert type(Provider("acme", "https://api.acme.ai", name).quirks) is DIALECTS[name].quirks_type


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)
def test_built_in_rows_have_quirks_of_their_dialects_class(row: Provider) -> None:
    """A built-in provider's quirks would be ignored by its dialect."""
    assert type(row.quirks) is DIALECTS[row.dialect].quirks_type


@pytest.mark.parametrize(
    ("dialect", "quirks"),
    [("openai_chat", _OtherQuirks()), ("openai_chat", DialectQuirks()), ("anthropic_messages", Quirks())],
)
def test_quirks_of_another_class_are_refused(dialect: str, quirks: DialectQuirks) -> None:
    """A row's quirks would be ignored without an error."""
    with pytest.raises(ConfigurationError, match=r"'acme': quirks: expected \w+ for the dialect"):
        Provider("acme", "https://api.acme.ai", dialect, quirks=quirks)


NOT_FUZZED = {"openai_responses"}
"""Dialects whose responses the fuzzers do not change yet."""

COVERED_BY: dict[str, tuple[Container[str], set[str]]] = {
    "a simulated provider": (MODEL_BY_DIALECT, set()),
    "recorded traffic": (FORMATS, set()),
    "changes of recorded replies": (RULES, NOT_FUZZED),
    "seeds of the fuzzer": (SEEDS, NOT_FUZZED),
}
"""What tests every dialect by a module named for it → the names of these modules, and the dialects that have none."""


@pytest.mark.parametrize("what", COVERED_BY)
def test_each_dialect_has_a_module_for_the_tests_of_all(what: str) -> None:
    """A new dialect would not be tested by what tests all of them."""
    names, exceptions = COVERED_BY[what]
    assert {name for name in DIALECTS if name not in names} <= exceptions
