"""The tables of README.md, made from the rows and cells; ``python tests/support/readme_table.py`` writes them anew."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from anycompletion import PROVIDERS
from anycompletion.params import ParamSupport
from anycompletion.providers.registry import supported_params
from anycompletion.records import PARAM_NAMES
from support.readme import README

MAIN = ("openai", "azure", "openrouter", "anthropic", "cohere", "replicate")
"""The providers with a column of their own; the others are told by their differences."""

OTHERS = tuple(name for name in PROVIDERS if name not in MAIN)

_NAME = re.compile(r"([a-z_.]+)(?:$|[;:,] )")
"""What a mapped parameter is called there, if its note begins with it."""


def column(provider: str) -> dict[str, ParamSupport]:
    """Parameter → cell, as `supported_params` tells it."""
    return supported_params("any-model", provider)


def code(names: Iterable[str]) -> str:
    """Names as Markdown."""
    return ", ".join(f"`{name}`" for name in names)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


# --- cells ----------------------------------------------------------------------------------------------------------


class Notes:
    """The notes below a table, numbered as they come."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        """The sign that stands in a cell for a note."""
        if text not in self.texts:
            self.texts.append(text)
        return f"<sup>{self.texts.index(text) + 1}</sup>"

    def lines(self) -> list[str]:
        """The notes themselves."""
        return [f"{number}. {text}" for number, text in enumerate(self.texts, 1)]


def shown(cell: ParamSupport, notes: Notes) -> str:
    """A cell in a few signs."""
    if cell.support == "unsupported":
        return "–"
    if cell.support == "fanned_out":
        return "fanned out"
    said, note = "native", cell.note
    if cell.support == "mapped":
        named = _NAME.match(note)
        said = f"→ `{named[1]}`" if named else "mapped"
        note = note[named.end() :] if named else note
    said = ", ".join([said, *_limits(cell)])
    return said + notes.mark(note.replace("|", "\\|")) if note else said


def _limits(cell: ParamSupport) -> list[str]:
    limits: list[str] = []
    if cell.minimum is not None and cell.maximum is not None:
        limits.append(f"{cell.minimum:g}…{cell.maximum:g}")
    elif cell.minimum is not None:
        limits.append(f"≥ {cell.minimum:g}")
    elif cell.maximum is not None:
        limits.append(f"≤ {cell.maximum:g}")
    if cell.max_items is not None:
        limits.append(f"at most {cell.max_items}")
    return limits


# --- tables ---------------------------------------------------------------------------------------------------------


def grouped(rows: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Rows by name, those with the same cells as one row, at the place of the first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, cells in rows.items():
        groups.setdefault(tuple(cells), []).append(name)
    return [[code(names), *cells] for cells, names in groups.items()]


def parameters() -> list[str]:
    """Parameter × the main providers, of which those with the same cells share a column."""
    notes = Notes()
    columns = {provider: column(provider) for provider in MAIN}
    cells = {name: [shown(columns[provider][name], notes) for provider in MAIN] for name in PARAM_NAMES}
    twins: dict[tuple[str, ...], list[int]] = {}
    for i in range(len(MAIN)):
        twins.setdefault(tuple(row[i] for row in cells.values()), []).append(i)
    header = ["parameter", *(code(MAIN[i] for i in same) for same in twins.values())]
    rows = {name: [row[same[0]] for same in twins.values()] for name, row in cells.items()}
    return [*table(header, grouped(rows)), "", *notes.lines()]


def differences() -> list[str]:
    """What the other providers do that OpenAI does not, and who of them does otherwise."""
    openai = _brief("openai")
    columns = {provider: _brief(provider) for provider in OTHERS}
    rows: dict[str, list[str]] = {}
    for name in PARAM_NAMES:
        said = {provider: cells[name] for provider, cells in columns.items()}
        usual = Counter(said.values()).most_common(1)[0][0]
        exceptions: dict[str, list[str]] = {}
        for provider, text in said.items():
            if text != usual:
                exceptions.setdefault(text, []).append(provider)
        if exceptions or usual != openai[name]:
            rows[name] = [usual, "; ".join(f"{text}: {code(providers)}" for text, providers in exceptions.items())]
    return table(["parameter", "most", "others"], grouped(rows))


def _brief(provider: str) -> dict[str, str]:
    """Parameter → its cell without notes, which would be as many as there are providers."""
    return {name: shown(cell, Notes()).partition("<sup>")[0] for name, cell in column(provider).items()}


def providers() -> list[str]:
    """Every row of the address book, the main ones first."""
    rows: list[list[str]] = []
    for name in (*MAIN, *sorted(OTHERS)):
        row = PROVIDERS[name]
        url = f"`{row.base_url}`" if row.base_url else "your own"
        if row.base_url_env:
            url += f"; {code(row.base_url_env)}"
        keys = code((*row.token_env, *row.key_env)) + (" (optional)" if row.key_optional else "")
        rows.append([f"`{name}`" + (" *" if row.unverified else ""), keys, url, f"[docs]({row.docs})"])
    return table(["provider", "key", "base URL, and what replaces it", "documentation"], rows)


def prefixes() -> list[str]:
    """Which bare model names need no provider."""
    known = {name: row.prefixes for name, row in PROVIDERS.items() if row.prefixes}
    return [f"- {', '.join(f'`{each}…`' for each in found)}: `{name}`" for name, found in known.items()]


TABLES = {"parameters": parameters, "differences": differences, "providers": providers, "prefixes": prefixes}
"""Name of a mark in README.md → what stands there."""


def written(text: str) -> str:
    """`text` with all tables as they should be."""
    for name, make in TABLES.items():
        start, end = f"<!-- {name}: written by tests/support/readme_table.py -->\n", f"<!-- end of {name} -->"
        head, found, rest = text.partition(start)
        _, ended, tail = rest.partition(end)
        if not found or not ended:
            raise ValueError(f"README.md has no marks for {name!r}")
        body = "\n".join(make())
        text = f"{head}{start}\n{body}\n\n{end}{tail}"
    return text


if __name__ == "__main__":
    README.write_text(written(README.read_text("utf-8")), "utf-8")
