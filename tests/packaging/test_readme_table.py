"""The tables of README.md are those of the rows and cells, and say all that stands there."""

import re

import pytest

from anycompletion import PROVIDERS
from anycompletion.params import ParamSupport
from anycompletion.records import PARAM_NAMES
from support.readme import README
from support.readme_table import (
    MAIN,
    Notes,
    column,
    differences,
    grouped,
    parameters,
    prefixes,
    providers,
    shown,
    written,
)

CELLS = [
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


def test_readme_is_up_to_date() -> None:
    """The README's tables would differ from the rows; `python tests/support/readme_table.py` writes them again."""
    text = README.read_text("utf-8")
    assert written(text) == text


@pytest.mark.parametrize(("cell", "text"), CELLS)
def test_a_cell_says_what_it_holds(cell: ParamSupport, text: str) -> None:
    """A range, a name or a refusal would be missing from the README."""
    assert shown(cell, Notes()) == text


def test_notes_do_not_repeat_the_name() -> None:
    """A note would say again what its cell says, or two cells with one note would have two."""
    notes = Notes()
    cells = [
        ParamSupport("mapped", note="p; never 1"),
        ParamSupport("native", note="never 1"),
        ParamSupport("native", note="by chance"),
    ]
    assert [shown(cell, notes) for cell in cells] == ["→ `p`<sup>1</sup>", "native<sup>1</sup>", "native<sup>2</sup>"]
    assert notes.lines() == ["1. never 1", "2. by chance"]


def test_every_parameter_stands_in_one_line_of_the_table() -> None:
    """A reader would look for a parameter and not find it, or find it twice."""
    first = [line.split("|")[1] for line in parameters() if line.startswith("| `")]
    assert sorted(name for cell in first for name in re.findall(r"`(\w+)`", cell)) == sorted(PARAM_NAMES)


def test_every_main_provider_has_a_column() -> None:
    """A reader would not learn what becomes of a parameter with this provider."""
    assert re.findall(r"`(\w+)`", parameters()[0]) == list(MAIN)


def test_every_difference_is_told() -> None:
    """Someone's `stop` would be refused by a provider of which the README says nothing."""
    text = "\n".join(differences())
    for name, row in PROVIDERS.items():
        if name in MAIN:
            continue
        refused = {param for param, cell in row.params.items() if cell.support == "unsupported"}
        for line in text.splitlines():
            params = set(re.findall(r"`(\w+)`", line.split("|")[1]))
            usual, others = line.split("|")[2:4]
            told = re.search(rf"–: [^;]*`{name}`", others) is not None
            if params and usual.strip() != "–":
                assert all((param in refused) == told for param in params), (name, line)


def test_every_row_is_in_the_table_of_providers() -> None:
    """A provider, one of its variables, its address, its documentation or a doubt about it would be missing."""
    lines = {line.split("`")[1]: line for line in providers()[2:]}
    assert set(lines) == set(PROVIDERS)
    for name, row in PROVIDERS.items():
        for said in (*row.key_env, *row.token_env, *row.base_url_env):
            assert f"`{said}`" in lines[name]
        assert row.base_url in lines[name]
        assert f"({row.docs})" in lines[name]
        assert (" *" in lines[name]) == bool(row.unverified)


def test_bare_names_are_told() -> None:
    """A reader would not know which models need no provider before them."""
    text = "\n".join(prefixes())
    for name, row in PROVIDERS.items():
        assert all(f"`{prefix}…`" in text for prefix in row.prefixes), name


def test_equal_lines_become_one() -> None:
    """The table would be three times as long, or lines with different cells would be one."""
    assert grouped({"a": ["x"], "b": ["y"], "c": ["x"]}) == [["`a`, `c`", "x"], ["`b`", "y"]]


def test_a_readme_without_marks_is_an_error() -> None:
    """The tables would silently stay as they are."""
    with pytest.raises(ValueError, match="parameters"):
        written("# A page\n")


def test_columns_come_from_the_parameter_table() -> None:
    """A row's own cells would be told by the dialect's, or the other way round."""
    assert column("openrouter")["store"].support == "unsupported"
    assert column("cohere")["top_p"].maximum == 0.99
