"""Definition of a benchmark: its question, cases, contenders, bounds and table columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import BARE, OURS, Contender
from benchmarks.stats import Bound

if TYPE_CHECKING:
    from benchmarks.driver import Session

Figures = dict[str, float]


@dataclass(frozen=True)
class Case:
    """One measured case of a question."""

    name: str
    job: Mapping[str, Any] = field(default_factory=dict[str, Any])
    short: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Members of the job that replace those of `job` in the short form."""
    only: frozenset[str] | None = None
    """Names of the contenders that take part; None: all."""
    note: str = ""
    slices: int | None = None
    """Measurements of each contender in a round, where it differs from the question's."""


@dataclass(frozen=True)
class Column:
    """A column of the result tables: one figure, its title and its number of decimals."""

    figure: str
    title: str
    digits: int = 1


@dataclass(frozen=True)
class Question:
    """A benchmark: its cases, its contenders and the bounds on its figures."""

    name: str
    title: str
    unit: str
    """What a figure refers to: a call, a chunk."""
    cases: tuple[Case, ...]
    contenders: tuple[Contender, ...]
    bounds: tuple[Bound, ...]
    main: Column = Column("cpu_us", "CPU µs")
    beside: tuple[Column, ...] = (
        Column("wall_us", "wall µs"),
        Column("p50_ms", "p50 ms", 2),
        Column("p99_ms", "p99 ms", 2),
        Column("server_us", "server µs"),
    )
    base: str = BARE.name
    """Name of the contender that the tables compare with; "" for no comparison."""
    always: frozenset[str] = frozenset({BARE.name, OURS.name})
    """Names of the contenders that take part in the short form."""
    slices: int = 2
    """Measurements of each contender for each case of a round."""
    fresh: bool = False
    """Whether every case needs a fresh process, because memory is measured."""
    peers_by_default: bool = True
    """Whether installed peers take part by default."""
    measure: Callable[[Session, Case, Contender], Figures] | None = None
    """Measures one case of one contender without a worker process; None: a worker does it."""
