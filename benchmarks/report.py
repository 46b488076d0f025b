"""Report of a benchmark's results: Markdown tables and an SVG bar chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Json = Mapping[str, Any]


# --- Markdown ------------------------------------------------------------------------------------------------------


def markdown(result: Json) -> str:
    """Page of a question: overview, comparison, bounds, all figures by case, machine, commit and versions."""
    parts = [
        f"# {result['title']}",
        _overview(result),
        _comparison(result),
        _bounds(result["bounds"]),
        *(_case(result, case) for case in result["cases"]),
        _circumstances(result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is text."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def number(value: float, digits: int = 1) -> str:
    """Formats a value with a number of decimals that suits its size."""
    if value and abs(value) < 10**-digits / 2:
        digits = min(6, digits - math.floor(math.log10(abs(value))))
    return f"{value:,.{0 if abs(value) >= 1000 else digits}f}"


def _spread(interval: Json, digits: int) -> str:
    median, low, high = (number(interval[name], digits) for name in ("median", "low", "high"))
    return f"{median} ({low}–{high})"


def _overview(result: Json) -> str:
    """Table of contenders by cases, transposed if that is narrower; empty where there is one case."""
    if len(result["cases"]) < 2:
        return ""
    head = ["", *(case["name"] for case in result["cases"])]
    rows = [
        [
            label,
            *(_in_short(result, case["figures"].get(name), is_base=name == result["base"]) for case in result["cases"]),
        ]
        for name, label in result["contenders"].items()
    ]
    if len(head) > len(rows) + 1:
        head, *rows = [list(column) for column in zip(head, *rows, strict=True)]
    return f"{table(head, rows)}\n\n{_legend(result)}"


def _comparison(result: Json) -> str:
    """Ratios of this checkout's figures to those of the one given by ``--before``; empty without it."""
    columns = [result["main"], *result["beside"]]
    compared = [(case["name"], name, ratios) for case in result["cases"] for name, ratios in case["compared"].items()]
    if not compared:
        return ""
    columns = [column for column in columns if any(column["figure"] in ratios for *_, ratios in compared)]
    rows = [
        [
            f"{case}: {result['contenders'][name]}",
            *(_spread(ratios[column["figure"]], 2) if column["figure"] in ratios else "" for column in columns),
        ]
        for case, name, ratios in compared
    ]
    text = f"Ratios of {result['commit']} to {result['commit_before']}, within a round: less than 1 is better."
    return f"## Compared\n\n{table(['', *(column['title'] for column in columns)], rows)}\n\n{text}"


def _legend(result: Json) -> str:
    figure = result["main"]["title"] + (f" per {result['unit']}" if result["unit"] else "")
    base = result["contenders"].get(result["base"])
    rounds = f"medians of {result['rounds']} rounds"
    return f"{figure}, and ratios to {base} (×); {rounds}." if base else f"{figure}; {rounds}."


def _in_short(result: Json, figures: Json | None, *, is_base: bool) -> str:
    if figures is None:
        return ""
    if is_base or "ratio" not in figures:
        return number(figures["main"]["median"], result["main"]["digits"])
    return f"{number(figures['ratio']['median'], 2)} ×"


def _case(result: Json, case: Json) -> str:
    """All figures of one case."""
    present = {figure for figures in case["figures"].values() for figure in figures}
    columns = [column for column in result["beside"] if column["figure"] in present]
    base = result["base"] in case["figures"]
    head = ["", result["main"]["title"], *(["×"] if base else []), *(column["title"] for column in columns)]
    rows: list[list[str]] = []
    for name, label in result["contenders"].items():
        figures = case["figures"].get(name)
        if figures is not None:
            ratio = [_spread(figures["ratio"], 2) if "ratio" in figures else "1"] if base else []
            beside = (_cell(figures, column) for column in columns)
            rows.append([label, _spread(figures["main"], result["main"]["digits"]), *ratio, *beside])
    note = f"{case['note']}\n\n" if case["note"] else ""
    failed = "".join(f"\n\n{result['contenders'][name]} failed: `{why}`" for name, why in case["failures"].items())
    return f"## {case['name'][:1].upper()}{case['name'][1:]}\n\n{note}{table(head, rows)}{failed}"


def _cell(figures: Json, column: Json) -> str:
    value = figures.get(column["figure"])
    return "" if value is None else number(value, column["digits"])


def _bounds(bounds: Sequence[Json]) -> str:
    if not bounds:
        return ""
    rows = [[bound["label"], limit(bound), measured(bound), bound["verdict"]] for bound in bounds]
    return "## Bounds\n\n" + table(["", "bound", "measured", "verdict"], rows)


def limit(bound: Json) -> str:
    """Text of a bound: a comparison sign, a number and its unit."""
    most = bound["at_most"] is not None
    return f"{'≤' if most else '≥'} {bound['at_most'] if most else bound['at_least']:g} {bound['unit']}"


def measured(bound: Json) -> str:
    """Text of a bound's measured interval."""
    return _spread(bound["measured"], 2) if bound["measured"] else "–"


def machine(result: Json) -> str:
    """Text of the machine that a result was measured on."""
    return f"{result['machine']['cpu']}, {result['machine']['cores']} cores, {result['machine']['system']}"


def _circumstances(result: Json) -> str:
    pinned = "client and server pinned to a core each" if result["machine"]["pinned"] else "no process pinned to a core"
    lines = [
        "## Measurement",
        f"`{result['command']}`",
        f"{result['started']}, at {result['commit'] or 'no commit'}, {result['minutes']} minutes, "
        f"{result['rounds']} rounds; {machine(result)}, {pinned}; load: {result['machine']['load']}. Medians with 95 % "
        "bootstrap intervals; × is the ratio in the same round.",
    ]
    if result["short"]:
        lines.append(
            "**The short form: measurements too short to compare, and jobs that may be smaller than their names.**"
        )
    if result["substitute"]:
        lines.append(
            f"**orjson is not installed: the baseline is aiohttp + {result['substitute']}, and no bound is judged "
            "against it.** `python -m benchmarks.peers install --only bare` installs it."
        )
    return "\n\n".join(lines) + "\n\n" + "\n".join(_versions(result))


def _versions(result: Json) -> list[str]:
    return [
        f"- {result['contenders'][name]}: {', '.join(f'{what} {version}' for what, version in versions.items())}"
        for name, versions in result["versions"].items()
    ]


# --- the chart -----------------------------------------------------------------------------------------------------

_WIDTH = 760
_LEFT = 210
_RIGHT = 90
_BAR = 18
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.h{font-weight:600}.g{stroke:#8884}rect{fill:#9aa5b1}"
    ".bare{fill:#5b7083}.ours{fill:#0a7d55}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}.bare{fill:#8ba0b3}.ours{fill:#35b384}}"
)


def picture(result: Json) -> str:
    """Bar chart by case and contender: ratios to the base, or the figures themselves, on a logarithmic scale."""
    groups: list[tuple[str, list[Bar]]] = []
    for case in result["cases"]:
        bars: list[Bar] = []
        for name, figures in case["figures"].items():
            value = figures.get("ratio", {}).get("median", 1.0) if result["base"] else figures["main"]["median"]
            text = number(figures["main"]["median"], result["main"]["digits"])
            text = f"{number(value, 2)} ×, {text}" if result["base"] else text
            bars.append((name, result["contenders"][name], value, text))
        groups.append((case["name"], bars))
    unit = f" per {result['unit']}" if result["unit"] else ""
    return bars_svg(f"{result['title']}: {result['main']['title']}{unit}", groups)


Bar = tuple[str, str, float, str]
"""Name, label, value, and the text behind the bar."""


def bars_svg(title: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """SVG chart of groups of horizontal bars on one logarithmic scale, cheapest first."""
    values = [max(bar[2], 1e-3) for _, bars in groups for bar in bars] or [1.0]
    low = 10 ** math.floor(math.log10(min(values)))
    high = max(*values, low * 10)
    scale = (_WIDTH - _LEFT - _RIGHT) / math.log10(high / low)

    def x(value: float) -> float:
        return _LEFT + scale * math.log10(max(value, low) / low)

    lines, y = [f'<text class="h" x="8" y="20">{escape(title)}</text>'], 44
    for name, bars in groups:
        lines.append(f'<text class="h" x="8" y="{y}">{escape(name)}</text>')
        y += 8
        for contender, label, value, text in sorted(bars, key=lambda bar: bar[2]):
            kind = contender.partition("-")[0]
            end = max(x(value), _LEFT + 1.0)
            lines += [
                f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>',
                f'<rect class="{kind}" x="{_LEFT}" y="{y + 2}" width="{end - _LEFT:.1f}" height="{_BAR - 4}"/>',
                f'<text x="{end + 5:.1f}" y="{y + 13}">{escape(text)}</text>',
            ]
            y += _BAR
        y += 24
    grid: list[str] = []
    tick = low
    while tick <= high:
        grid.append(f'<line class="g" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="30" y2="{y - 20}"/>')
        tick *= 10
    body = "\n".join([*grid, *lines])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )
