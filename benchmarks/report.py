"""What was seen, for people: Markdown tables, and a picture drawn with a few lines of SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Json = Mapping[str, Any]


# --- Markdown ------------------------------------------------------------------------------------------------------


def markdown(result: Json) -> str:
    """A question's page: an overview, the demands, all figures case by case, where and how it was measured."""
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
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float, digits: int = 1) -> str:
    """As many digits as say something."""
    if value and abs(value) < 10**-digits / 2:
        digits = min(6, digits - math.floor(math.log10(abs(value))))
    return f"{value:,.{0 if abs(value) >= 1000 else digits}f}"


def _spread(seen: Json, digits: int) -> str:
    return f"{number(seen['median'], digits)} ({number(seen['low'], digits)}–{number(seen['high'], digits)})"


def _overview(result: Json) -> str:
    """Contenders by cases, or the other way round if that is narrower; only where there are several cases."""
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
    compared = [(case["name"], name, seen) for case in result["cases"] for name, seen in case["compared"].items()]
    if not compared:
        return ""
    columns = [column for column in columns if any(column["figure"] in seen for *_, seen in compared)]
    rows = [
        [
            f"{case}: {result['contenders'][name]}",
            *(_spread(seen[column["figure"]], 2) if column["figure"] in seen else "" for column in columns),
        ]
        for case, name, seen in compared
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
    told = {figure for figures in case["figures"].values() for figure in figures}
    columns = [column for column in result["beside"] if column["figure"] in told]
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
    rows = [[bound["says"], limit(bound), measured(bound), bound["verdict"]] for bound in bounds]
    return "## Demands\n\n" + table(["", "demanded", "seen", "verdict"], rows)


def limit(bound: Json) -> str:
    """What is demanded."""
    most = bound["at_most"] is not None
    return f"{'≤' if most else '≥'} {bound['at_most'] if most else bound['at_least']:g} {bound['unit']}"


def measured(bound: Json) -> str:
    """What was seen."""
    return _spread(bound["seen"], 2) if bound["seen"] else "–"


def _circumstances(result: Json) -> str:
    machine = result["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"
    pinned = "client and server pinned to a core each" if machine["pinned"] else "nothing pinned to a core"
    lines = [
        "## How",
        f"`{result['command']}`",
        f"{result['started']}, at {result['commit'] or 'no commit'}, {result['minutes']} minutes, "
        f"{result['rounds']} rounds; {where}, {pinned}; load: {machine['load']}. Medians with their 95 % bootstrap "
        "intervals; × is the ratio in the same round.",
    ]
    if result["short"]:
        lines.append(
            "**The short form: turns too short to say much, and jobs that may be smaller than their names say.**"
        )
    if result["substitute"]:
        lines.append(
            f"**orjson is not installed here: the baseline is aiohttp + {result['substitute']}, and nothing is judged "
            "against it.** `python -m benchmarks.peers install --only bare` installs it."
        )
    return "\n\n".join(lines) + "\n\n" + "\n".join(_versions(result))


def _versions(result: Json) -> list[str]:
    return [
        f"- {result['contenders'][name]}: {', '.join(f'{what} {version}' for what, version in versions.items())}"
        for name, versions in result["versions"].items()
    ]


# --- the picture ---------------------------------------------------------------------------------------------------

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
    """Bars by case and contender: ratios to the base, or the figures themselves; the scale is logarithmic."""
    groups: list[tuple[str, list[Bar]]] = []
    for case in result["cases"]:
        bars: list[Bar] = []
        for name, figures in case["figures"].items():
            value = figures.get("ratio", {}).get("median", 1.0) if result["base"] else figures["main"]["median"]
            said = f"{number(figures['main']['median'], result['main']['digits'])}"
            said = f"{number(value, 2)} ×, {said}" if result["base"] else said
            bars.append((name, result["contenders"][name], value, said))
        groups.append((case["name"], bars))
    unit = f" per {result['unit']}" if result["unit"] else ""
    return bars_svg(f"{result['title']}: {result['main']['title']}{unit}", groups)


Bar = tuple[str, str, float, str]
"""Name, label, value, what stands behind it."""


def bars_svg(title: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Groups of horizontal bars on one logarithmic scale, cheapest first."""
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
        for who, label, value, said in sorted(bars, key=lambda bar: bar[2]):
            kind = who.partition("-")[0]
            end = max(x(value), _LEFT + 1.0)
            lines += [
                f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>',
                f'<rect class="{kind}" x="{_LEFT}" y="{y + 2}" width="{end - _LEFT:.1f}" height="{_BAR - 4}"/>',
                f'<text x="{end + 5:.1f}" y="{y + 13}">{escape(said)}</text>',
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
