"""Generator of the tables of providers and parameters on the pages for users.

``python tests/support/page_tables.py`` writes them into README.md and docs/*.md, between lines such as
``<!-- providers: written by tests/support/page_tables.py -->`` and ``<!-- end of providers -->``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from anycompletion import PROVIDERS
from anycompletion.params import ParamSupport
from anycompletion.providers import supported_params
from anycompletion.providers.structured_support import STRUCTURED_MODES
from anycompletion.records import PARAM_NAMES

if __package__:
    from .pages import pages
else:  # run as a script
    from pages import pages

MAIN = ("openai", "azure", "openrouter", "anthropic", "cohere", "replicate")
"""Providers with a column of their own; the others are listed by their differences."""

OTHERS = tuple(name for name in PROVIDERS if name not in MAIN)

FORMATS = tuple(
    {
        PROVIDERS[name].dialect: name
        for name in reversed(OTHERS)
        if PROVIDERS[name].dialect not in {PROVIDERS[main].dialect for main in MAIN}
    }.values()
)[::-1]
"""The first provider of each format that no main provider has."""

COMPATIBLE = tuple(name for name in OTHERS if PROVIDERS[name].dialect == "openai_chat")
"""Those of them whose format is OpenAI's."""

_NAME = re.compile(r"([a-z][A-Za-z_.]*)(?:$|[;:,] )")
"""The provider's name of a mapped parameter, where its note begins with one."""


def column(provider: str) -> dict[str, ParamSupport]:
    """Parameter → support, as `supported_params` returns it."""
    return supported_params("any-model", provider)


def code(names: Iterable[str]) -> str:
    """Names in Markdown's code format, joined by commas."""
    return ", ".join(f"`{name}`" for name in names)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


# --- one parameter --------------------------------------------------------------------------------------------------


class Notes:
    """Notes below a table, numbered in the order of their first reference."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def reference(self, text: str) -> str:
        """Reference to a note."""
        if text not in self.texts:
            self.texts.append(text)
        return f"<sup>{self.texts.index(text) + 1}</sup>"

    def lines(self) -> list[str]:
        """The numbered notes."""
        return [f"{number}. {text}" for number, text in enumerate(self.texts, 1)]


def describe(entry: ParamSupport, notes: Notes) -> str:
    """Short text of how a provider supports a parameter."""
    if entry.support == "unsupported":
        return "–"
    if entry.support == "fanned_out":
        return "fanned out"
    text, note = "native", entry.note
    if entry.support == "mapped":
        named = _NAME.match(note)
        text = f"→ `{named[1]}`" if named else "mapped"
        note = note[named.end() :] if named else note
    text = ", ".join([text, *_limits(entry)])
    return text + notes.reference(note.replace("|", "\\|")) if note else text


def _limits(entry: ParamSupport) -> list[str]:
    limits: list[str] = []
    if entry.minimum is not None and entry.maximum is not None:
        limits.append(f"{entry.minimum:g}…{entry.maximum:g}")
    elif entry.minimum is not None:
        limits.append(f"≥ {entry.minimum:g}")
    elif entry.maximum is not None:
        limits.append(f"≤ {entry.maximum:g}")
    if entry.max_items is not None:
        limits.append(f"at most {entry.max_items}")
    return limits


# --- tables ---------------------------------------------------------------------------------------------------------


def grouped(rows: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Rows with their names in the first column; those with equal texts are one row, in the place of the first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, texts in rows.items():
        groups.setdefault(tuple(texts), []).append(name)
    return [[code(names), *texts] for texts, names in groups.items()]


def parameters(shown: Sequence[str] = MAIN) -> list[str]:
    """Table of parameters by main providers, or by others; providers with equal columns share one."""
    notes = Notes()
    columns = {provider: column(provider) for provider in shown}
    texts = {name: [describe(columns[provider][name], notes) for provider in shown] for name in PARAM_NAMES}
    equal: dict[tuple[str, ...], list[int]] = {}
    for i in range(len(shown)):
        equal.setdefault(tuple(row[i] for row in texts.values()), []).append(i)
    header = ["parameter", *(code(shown[i] for i in same) for same in equal.values())]
    rows = {name: [row[same[0]] for same in equal.values()] for name, row in texts.items()}
    return [*table(header, grouped(rows)), "", *notes.lines()]


def formats() -> list[str]:
    """Table of parameters by the other formats."""
    return parameters(FORMATS)


def differences() -> list[str]:
    """Table of the parameters in which the other providers of OpenAI's format differ from it or from each other."""
    openai = _brief("openai")
    columns = {provider: _brief(provider) for provider in COMPATIBLE}
    rows: dict[str, list[str]] = {}
    for name in PARAM_NAMES:
        texts = {provider: column[name] for provider, column in columns.items()}
        usual = Counter(texts.values()).most_common(1)[0][0]
        exceptions: dict[str, list[str]] = {}
        for provider, text in texts.items():
            if text != usual:
                exceptions.setdefault(text, []).append(provider)
        if exceptions or usual != openai[name]:
            rows[name] = [usual, "; ".join(f"{text}: {code(providers)}" for text, providers in exceptions.items())]
    return table(["parameter", "most", "others"], grouped(rows))


def _brief(provider: str) -> dict[str, str]:
    """Parameter → text without notes, because there would be as many notes as providers."""
    return {name: describe(entry, Notes()).partition("<sup>")[0] for name, entry in column(provider).items()}


def providers() -> list[str]:
    """Table of all providers, the main ones first."""
    rows: list[list[str]] = []
    for name in (*MAIN, *sorted(OTHERS)):
        row = PROVIDERS[name]
        url = f"`{row.base_url}`" if row.base_url else "your own"
        if row.base_url_env:
            url += f"; {code(row.base_url_env)}"
        keys = code((*row.token_env, *row.key_env)) + (" (optional)" if row.key_optional else "")
        rows.append([f"`{name}`" + (" *" if row.unverified else ""), keys, url, f"[docs]({row.docs})"])
    return table(["provider", "key", "base URL, and what replaces it", "documentation"], rows)


def modes() -> list[str]:
    """Table of the modes of typed replies: the providers of each, and their models that have another."""
    rows: list[list[str]] = []
    for mode in STRUCTURED_MODES:
        names = [name for name in sorted(PROVIDERS) if PROVIDERS[name].structured.mode == mode]
        others: list[str] = []
        for name in names:
            models = PROVIDERS[name].structured.models
            starts = {other: [start for start, found in models.items() if found == other] for other in STRUCTURED_MODES}
            others += [
                f"`{name}` {other}: {code(starts[other])}" for other in starts if starts[other] and other != mode
            ]
        rows.append([mode, code(names), "; ".join(others)])
    return table(["mode", "providers", "except models whose names begin with"], rows)


def prefixes() -> list[str]:
    """List of the prefixes of model names that need no provider."""
    return [
        f"- {', '.join(f'`{prefix}…`' for prefix in row.prefixes)}: `{name}`"
        for name, row in PROVIDERS.items()
        if row.prefixes
    ]


TABLES = {
    "parameters": parameters,
    "formats": formats,
    "differences": differences,
    "providers": providers,
    "prefixes": prefixes,
    "modes": modes,
}
"""Name of a marked section → function that makes its lines."""

_SECTION = re.compile(r"^(<!-- (\w+): written by \S+ -->\n)(?:.*?)^(<!-- end of \2 -->)$", re.MULTILINE | re.DOTALL)


def sections(text: str) -> list[str]:
    """Names of the marked sections of a page."""
    return [match[2] for match in _SECTION.finditer(text) if match[2] in TABLES]


def updated(text: str) -> str:
    """A page with its marked sections replaced by current tables."""

    def current(match: re.Match[str]) -> str:
        body = "\n".join(TABLES[match[2]]())
        return f"{match[1]}\n{body}\n\n{match[3]}"

    return _SECTION.sub(lambda match: current(match) if match[2] in TABLES else match[0], text)


if __name__ == "__main__":
    for path in pages():
        path.write_text(updated(path.read_text("utf-8")), "utf-8")
