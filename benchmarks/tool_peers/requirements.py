"""What a user needs of a run, as data, and whether a run has given it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never


@dataclass(frozen=True)
class Answered:
    """The run returns the model's last text."""


@dataclass(frozen=True)
class ResultSent:
    """The model gets a result of a call, with one of these texts in it; without texts, any result."""

    call: str
    texts: tuple[str, ...] = ()
    otherwise: str = "no result is sent"


@dataclass(frozen=True)
class ImageSent:
    """The model gets the image that the tool returned."""


@dataclass(frozen=True)
class AtOnce:
    """The calls of a function overlap in time."""

    function: str
    otherwise: str = "one after the other"


@dataclass(frozen=True)
class Within:
    """The run is over after so many seconds."""

    seconds: float
    otherwise: str


@dataclass(frozen=True)
class Runs:
    """A function starts so many times, of all processes of the run."""

    function: str
    times: int
    otherwise: str


@dataclass(frozen=True)
class Stopped:
    """A call of a function that has not ended is cancelled."""

    function: str
    otherwise: str = "the tool goes on"


@dataclass(frozen=True)
class CancellationRaised:
    """The caller gets asyncio's CancelledError."""


@dataclass(frozen=True)
class Requests:
    """The model is asked so many times."""

    times: int
    otherwise: str


@dataclass(frozen=True)
class Kept:
    """The caller has at least so many finished results after the end."""

    results: int
    otherwise: str = "the results are lost"


@dataclass(frozen=True)
class Secret:
    """A text is neither sent nor logged."""

    text: str


@dataclass(frozen=True)
class AllRight:
    """So many runs each return their own answer."""

    runs: int


Requirement: TypeAlias = (
    Answered
    | ResultSent
    | ImageSent
    | AtOnce
    | Within
    | Runs
    | Stopped
    | CancellationRaised
    | Requests
    | Kept
    | Secret
    | AllRight
)


@dataclass(frozen=True)
class Note:
    """One line of the journal of the functions."""

    event: str
    """start, end or cancel."""
    function: str
    at: float
    """Seconds of the monotonic clock."""


@dataclass(frozen=True)
class Asked:
    """One request as the model gets it."""

    results: Mapping[str, str]
    """Id of a call → the text of its result."""
    body: str


@dataclass(frozen=True)
class Seen:
    """What a run did, as the server, the functions and the caller saw it."""

    asked: Sequence[Asked] = ()
    notes: Sequence[Note] = ()
    done: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The `Done` of the program."""

    @property
    def results(self) -> Mapping[str, str]:
        """The results that the model got, of all requests."""
        return {name: text for each in self.asked for name, text in each.results.items()}

    def at(self, event: str, function: str) -> list[float]:
        """When a function started, ended or was cancelled."""
        return [each.at for each in self.notes if (each.event, each.function) == (event, function)]


def problem(requirement: Requirement, seen: Seen, image: str) -> str | None:
    """What is there instead of what a user needs; None if the requirement is met.

    Args:
        requirement: what is needed.
        seen: the run.
        image: the image of the tool in base64.
    """
    match requirement:
        case Answered():
            return None if seen.done["answer"] is not None else _ended(seen.done)
        case ResultSent(call, texts, otherwise):
            result = seen.results.get(call)
            is_sent = result is not None and (not texts or any(text in result for text in texts))
            return None if is_sent else otherwise
        case ImageSent():
            return None if any(image in each.body for each in seen.asked) else "no image is sent"
        case AtOnce(function, otherwise):
            starts, ends = seen.at("start", function), seen.at("end", function)
            return None if len(starts) > 1 and ends and max(starts) < min(ends) else otherwise
        case Within(seconds, otherwise):
            return None if seen.done["elapsed"] <= seconds else otherwise
        case Runs(function, times, otherwise):
            return None if len(seen.at("start", function)) == times else otherwise
        case Stopped(function, otherwise):
            return None if seen.at("cancel", function) else otherwise
        case CancellationRaised():
            return None if seen.done["cancelled"] else "the caller gets no CancelledError"
        case Requests(times, otherwise):
            return None if len(seen.asked) == times else otherwise
        case Kept(results, otherwise):
            return None if seen.done["kept"] >= results else otherwise
        case Secret(text):
            return _leak(text, seen)
        case AllRight(runs):
            return None if seen.done["right"] == runs else _wrong(runs, seen.done)
        case _:
            assert_never(requirement)


def _wrong(runs: int, done: Mapping[str, Any]) -> str:
    errors = f" (`{done['error']}`)" if done["error"] else ""
    return f"{runs - done['right']} of {runs} are wrong{errors}"


def _ended(done: Mapping[str, Any]) -> str:
    return f"the run ends with `{done['error']}`" if done["error"] else "the run ends without an answer"


def _leak(text: str, seen: Seen) -> str | None:
    places = {"sent": any(text in each.body for each in seen.asked), "logged": text in seen.done["log"]}
    found = [name for name, is_there in places.items() if is_there]
    return f"it is {' and '.join(found)}" if found else None
