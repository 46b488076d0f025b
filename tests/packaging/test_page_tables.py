"""Tests that the tables of providers and parameters on the pages are up to date and complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anycompletion import PROVIDERS
from anycompletion.params import ParamSupport
from anycompletion.records import PARAM_NAMES
from support.page_tables import (
    MAIN,
    TABLES,
    Notes,
    column,
    describe,
    differences,
    grouped,
    modes,
    parameters,
    prefixes,
    providers,
    sections,
    updated,
)
from support.pages import pages

TEXTS = [
    (ParamSupport("native"), "native"),
    (ParamSupport("native", minimum=0, maximum=2), "native, 0…2"),
    (ParamSupport("native", minimum=1), "native, ≥ 1"),
    (ParamSupport("native", maximum=0.99), "native, ≤ 0.99"),
    (ParamSupport("native", max_items=4), "native, at most 4"),
    (ParamSupport("native", note="sometimes"), "native<sup>1</sup>"),
    (ParamSupport("mapped", note="stop_sequences", max_items=5), "→ `stop_sequences`, at most 5"),
    (ParamSupport("mapped", note="metadata.user_id"), "→ `metadata.user_id`"),
    (ParamSupport("mapped", note="p; never 1"), "→ `p`<sup>1</sup>"),
    (ParamSupport("mapped", note="usage always comes"), "mapped<sup>1</sup>"),
    (ParamSupport("fanned_out"), "fanned out"),
    (ParamSupport("unsupported", note="there is none"), "–"),
]


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.stem)
def test_tables_are_up_to_date(page: Path) -> None:
    """A page's tables would be out of date; `python tests/support/page_tables.py` updates them."""
    text = page.read_text("utf-8")
    assert updated(text) == text


def test_every_table_is_on_a_page() -> None:
    """The support of parameters, or the list of providers, would be on no page."""
    assert {name for page in pages() for name in sections(page.read_text("utf-8"))} == set(TABLES)


@pytest.mark.parametrize(("entry", "text"), TEXTS)
def test_parameter_support_is_described(entry: ParamSupport, text: str) -> None:
    """A range, a provider's name or a refusal would be missing from the pages."""
    assert describe(entry, Notes()) == text


def test_notes_do_not_repeat_the_name() -> None:
    """A note would repeat the name before it, or equal notes would appear twice."""
    notes = Notes()
    entries = [
        ParamSupport("mapped", note="p; never 1"),
        ParamSupport("native", note="never 1"),
        ParamSupport("native", note="at times"),
    ]
    assert [describe(entry, notes) for entry in entries] == [
        "→ `p`<sup>1</sup>",
        "native<sup>1</sup>",
        "native<sup>2</sup>",
    ]
    assert notes.lines() == ["1. never 1", "2. at times"]


def test_every_parameter_is_in_one_line_of_the_table() -> None:
    """A parameter would be missing from the table, or be in it twice."""
    first = [line.split("|")[1] for line in parameters() if line.startswith("| `")]
    assert sorted(name for text in first for name in re.findall(r"`(\w+)`", text)) == sorted(PARAM_NAMES)


def test_every_main_provider_has_a_column() -> None:
    """The support of a parameter by a main provider would be missing from the pages."""
    assert re.findall(r"`(\w+)`", parameters()[0]) == list(MAIN)


def test_every_difference_is_listed() -> None:
    """A provider would refuse a parameter without a mention in the pages."""
    text = "\n".join(differences())
    for name, row in PROVIDERS.items():
        if name in MAIN:
            continue
        refused = {param for param, entry in row.params.items() if entry.support == "unsupported"}
        for line in text.splitlines():
            params = set(re.findall(r"`(\w+)`", line.split("|")[1]))
            usual, others = line.split("|")[2:4]
            listed = re.search(rf"–: [^;]*`{name}`", others) is not None
            if params and usual.strip() != "–":
                assert all((param in refused) == listed for param in params), (name, line)


def test_every_row_is_in_the_table_of_providers() -> None:
    """A provider, one of its variables, its URL, its documentation or its unverified mark would be missing."""
    lines = {line.split("`")[1]: line for line in providers()[2:]}
    assert set(lines) == set(PROVIDERS)
    for name, row in PROVIDERS.items():
        for variable in (*row.key_env, *row.token_env, *row.base_url_env):
            assert f"`{variable}`" in lines[name]
        assert row.base_url in lines[name]
        assert f"({row.docs})" in lines[name]
        assert (" *" in lines[name]) == bool(row.unverified)


def test_every_row_is_in_the_table_of_modes() -> None:
    """The mode of a provider's typed replies, or of one of its models, would be missing from the pages."""
    lines = {line.split("|")[1].strip(): line for line in modes()[2:]}
    for name, row in PROVIDERS.items():
        assert f"`{name}`" in lines[row.structured.mode]
        for start, mode in row.structured.models.items():
            if mode != row.structured.mode:
                assert re.search(rf"`{name}` {mode}: [^;]*`{start}`", lines[row.structured.mode])


def test_prefixes_of_model_names_are_listed() -> None:
    """The prefix of a model name that needs no provider would be missing from the pages."""
    text = "\n".join(prefixes())
    for name, row in PROVIDERS.items():
        assert all(f"`{prefix}…`" in text for prefix in row.prefixes), name


def test_equal_rows_are_merged() -> None:
    """Equal rows would be listed separately, or different rows would be merged."""
    assert grouped({"a": ["x"], "b": ["y"], "c": ["x"]}) == [["`a`, `c`", "x"], ["`b`", "y"]]


def test_only_marked_sections_are_replaced() -> None:
    """A page would lose text, or keep old tables."""
    text = "a\n<!-- prefixes: written by x.py -->\n\nold\n\n<!-- end of prefixes -->\nb\n"
    found = updated(text)
    assert "old" not in found
    assert (found[:2], found[-3:], sections(found)) == ("a\n", "\nb\n", ["prefixes"])


def test_columns_come_from_the_parameter_table() -> None:
    """A provider's own entries would be ignored, or those of its dialect."""
    assert column("openrouter")["store"].support == "unsupported"
    assert column("cohere")["top_p"].maximum == 0.99
