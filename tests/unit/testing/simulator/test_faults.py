"""Faults as data: their names, their numbers, and the turns they take."""

import inspect
import pickle
from pathlib import Path
from typing import Any

import attrs
import pytest

from anycompletion.testing import FAULTS, Fault, SimulatorServer
from anycompletion.testing.simulator.faults import FaultSequence

AFTER = ("cut", "close", "reset", "stall", "error")


@pytest.mark.parametrize("name", [*FAULTS, *(f"{kind}-after-3-events" for kind in AFTER), "reset-after-1-event"])
def test_every_name_gives_a_fault(name: str) -> None:
    """A name of the table would be refused."""
    fault = Fault.named(name, times=2)
    assert fault.times == 2
    assert pickle.loads(pickle.dumps(fault)) == fault  # noqa: S301 (our own)
    assert hash(fault) == hash(Fault.named(name, times=2))
    assert len(repr(fault)) < 500


def test_every_name_is_written_where_people_look_for_it() -> None:
    """A fault that nobody hears of is tried by nobody."""
    names = [*FAULTS, *(f"{kind}-after-N-events" for kind in AFTER)]
    readme = (Path(__file__).parents[4] / "README.md").read_text("utf-8")
    assert [name for name in names if f"`{name}`" not in readme] == []
    doc = inspect.getdoc(SimulatorServer) or ""
    assert [name for name in names if f"``{name}``" not in doc] == []


def test_a_script_says_bytes_seconds_and_known_words() -> None:
    """A misspelt word would be a fault that never happens."""
    assert Fault.raw(b"HTTP/1.1 20", 0.5, "reset").script == (b"HTTP/1.1 20", 0.5, "reset")
    with pytest.raises(ValueError, match=r"'resets'.*reset"):
        Fault.raw("resets")  # type: ignore[arg-type]


def test_a_bomb_is_small_until_it_is_unpacked() -> None:
    """Importing the tests' helpers would cost what only one fault needs."""
    assert len(FAULTS["gzip-bomb"].body) < 300_000


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("rate_limit", "rate-limit"),
        ("overload", "overloaded"),
        ("cut-after-three-events", "cut-after-3-events"),
        ("html5", "html"),
    ],
)
def test_an_unknown_name_is_refused_with_the_closest(name: str, closest: str) -> None:
    """A misspelt fault would simulate nothing, or leave its author to guess."""
    with pytest.raises(ValueError, match=f"'{closest}'"):
        Fault.named(name)
    with pytest.raises(ValueError, match=f"'{closest}'"):
        FaultSequence([name])


def test_a_number_in_a_name_counts() -> None:
    """Every cut would come after the same number of events."""
    assert Fault.named("cut-after-17-events").after == 17


@pytest.mark.parametrize(
    "options", [{"times": -1}, {"skip": -1}, {"retry_after": -0.5}, {"status_code": 99}, {"status_code": 600}]
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any]) -> None:
    """A wrong number would surface as a strange answer."""
    with pytest.raises(ValueError, match=next(iter(options))):
        Fault(kind="status", **options)


def test_a_wait_can_be_chosen_and_has_a_default() -> None:
    """Retry tests would wait for seconds, or without reason."""
    assert Fault.named("rate-limit").retry_after == 0.05
    assert Fault.named("rate-limit", retry_after=3).retry_after == 3
    assert Fault.status(429).retry_after is None


def test_a_fault_does_not_change() -> None:
    """Two servers with one fault would share its state."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Fault.status(500).times = 1  # type: ignore[misc]


def test_turns_are_counted_per_fault() -> None:
    """The second fault of a script would come too early, too late, or never."""
    first, second = Fault.status(500, times=2), Fault.status(503, skip=1, times=1)
    script = FaultSequence([first, second])
    assert [script.next("openai") for _ in range(5)] == [first, first, None, second, None]


def test_a_fault_of_one_provider_does_not_count_the_others() -> None:
    """Requests to one provider would use up the faults of another."""
    fault = Fault.status(500, times=1, provider="anthropic")
    script = FaultSequence(fault)
    assert [script.next(name) for name in ("openai", "anthropic", "anthropic")] == [None, fault, None]


def test_no_faults_is_no_fault() -> None:
    """A healthy simulator would fail."""
    assert FaultSequence(None).next("openai") is None
