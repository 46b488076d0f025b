"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peers
from benchmarks.contenders import BARE
from benchmarks.question import Question

RESULTS = Path(__file__).with_name("results")
SHORT_RESULTS = Path(__file__).with_name(".short")
COMPARISONS = Path(__file__).with_name(".comparisons")


@dataclass(frozen=True)
class Options:
    """Options of a run; the command line's help describes them."""

    rounds: int
    short: bool
    peers: frozenset[str]
    out: Path
    seed: int
    seconds: float
    slices: int | None
    library: Path
    before: Path | None
    cases: frozenset[str]
    command: str


def checkout_library(text: str) -> Path:
    """The folder with the package in a checkout, which may be given itself or as the checkout's root."""
    given = Path(text).resolve()
    for folder in (given / "lib", given):
        if (folder / "anycompletion").is_dir():
            return folder
    raise argparse.ArgumentTypeError(f"no lib/anycompletion in {given}")


def options_of(arguments: Sequence[str] | None, question: Question | None) -> Options:
    """Parses the command line."""
    name = "benchmarks" if question is None else f"benchmarks.{question.name}"
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description="All benchmarks of this folder" if question is None else question.title,
        epilog="Exits with 1 if a bound fails: if, over at least 7 rounds, its whole interval is on the wrong side.",
    )
    parser.add_argument("--rounds", type=int, help="default 7, in the short form 2")
    parser.add_argument(
        "--short", action="store_true", help="a few seconds, no peers, no bound judged: checks that it runs"
    )
    parser.add_argument(
        "--peers", metavar="NAMES", help="comma-separated names, `all` or `none`; default: those that are installed"
    )
    parser.add_argument(
        "--cases", metavar="NAMES", default="", help="comma-separated prefixes of case names; default: all"
    )
    parser.add_argument("--seconds", type=float, help="of one measurement; default 0.5, in the short form 0.05")
    parser.add_argument("--slices", type=int, help="measurements of each contender for each case of a round")
    parser.add_argument("--out", type=Path, help="folder for the results; default benchmarks/results")
    parser.add_argument("--seed", type=int, default=1, help="seed of the order of contenders")
    parser.add_argument(
        "--library",
        type=checkout_library,
        metavar="DIR",
        default=peers.LIBRARY,
        help="checkout to measure instead of this one",
    )
    parser.add_argument(
        "--before",
        type=checkout_library,
        metavar="DIR",
        help="another checkout to measure in the same rounds; prints the ratios of this one to it, and takes no peers "
        "unless they are named",
    )
    given = parser.parse_args(arguments)
    if (given.rounds is not None and given.rounds < 1) or (given.slices is not None and given.slices < 1):
        parser.error("at least one round of one slice is required")
    alone = given.short or given.before or (question is not None and not question.peers_by_default)
    asked = given.peers or ("none" if alone else "installed")
    known = {"none": [], "all": list(peers.ENVIRONMENTS), "installed": peers.installed()}
    names = known.get(asked, asked.split(","))
    return Options(
        rounds=given.rounds or (2 if given.short else 7),
        short=given.short,
        peers=frozenset(names) - {BARE.environment},
        out=given.out or (SHORT_RESULTS if given.short else COMPARISONS if given.before else RESULTS),
        seed=given.seed,
        seconds=given.seconds or (0.05 if given.short else 0.5),
        slices=given.slices or (1 if given.short else None),
        library=given.library,
        before=given.before,
        cases=frozenset(given.cases.split(",")) - {""},
        command=" ".join(["python -m", name, *(sys.argv[1:] if arguments is None else arguments)]),
    )
