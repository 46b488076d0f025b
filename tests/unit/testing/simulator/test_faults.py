"""Tests of faults as data: their names, numbers and sequence."""

import inspect
import pickle
from typing import Any

import attrs
import pytest

from anycompletion.testing import FAULTS, Fault, SimulatorServer
from anycompletion.testing.simulator.faults import FaultSequence
from support.pages import whole_text

AFTER = ("cut", "close", "reset", "stall", "error")


@pytest.mark.parametrize("name", [*FAULTS, *(f"{kind}-after-3-events" for kind in AFTER), "reset-after-1-event"])
def test_every_name_is_a_fault(name: str) -> None:
    """A documented name would be rejected."""
    fault = Fault.named(name, times=2)
    assert fault.times == 2
    assert pickle.loads(pickle.dumps(fault)) == fault  # noqa: S301 (pickled by this test)
    assert hash(fault) == hash(Fault.named(name, times=2))
    assert len(repr(fault)) < 500


def test_every_name_is_on_a_page_and_in_the_docstring() -> None:
    """Undocumented faults would not be used."""
    names = [*FAULTS, *(f"{kind}-after-N-events" for kind in AFTER)]
    text = whole_text()
    assert [name for name in names if f"`{name}`" not in text] == []
    doc = inspect.getdoc(SimulatorServer) or ""
    assert [name for name in names if f"``{name}``" not in doc] == []


def test_a_script_has_bytes_seconds_and_known_actions() -> None:
    """A misspelt action would silently do nothing."""
    assert Fault.raw(b"HTTP/1.1 20", 0.5, "reset").script == (b"HTTP/1.1 20", 0.5, "reset")
    with pytest.raises(ValueError, match=r"'resets'.*reset"):
        Fault.raw("resets")  # type: ignore[arg-type]


def test_a_gzip_bomb_is_small_until_it_is_decompressed() -> None:
    """Importing the package would allocate memory that only one fault needs."""
    assert len(FAULTS["gzip-bomb"].body) < 300_000


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("rate_limit", "rate-limit"),
        ("overload", "overloaded"),
        ("cut-after-three-events", "cut-after-3-events"),
        ("html5", "html"),
        ("one-choice", "1-choice"),
    ],
)
def test_an_unknown_name_is_rejected_with_the_closest(name: str, closest: str) -> None:
    """A misspelt fault would simulate nothing, or the error would not help to correct it."""
    with pytest.raises(ValueError, match=f"'{closest}'"):
        Fault.named(name)
    with pytest.raises(ValueError, match=f"'{closest}'"):
        FaultSequence([name])


def test_the_number_in_a_name_is_used() -> None:
    """Every cut would happen after the same number of events."""
    assert Fault.named("cut-after-17-events").after == 17
    assert Fault.named("17-choices").choices == 17


@pytest.mark.parametrize(
    "options",
    [{"times": -1}, {"skip": -1}, {"retry_after": -0.5}, {"status_code": 99}, {"status_code": 600}, {"choices": 0}],
)
def test_numbers_out_of_range_are_rejected(options: dict[str, Any]) -> None:
    """A wrong number would show up as an unexpected response."""
    with pytest.raises(ValueError, match=next(iter(options))):
        Fault(kind="status", **options)


def test_retry_after_can_be_set_and_has_a_default() -> None:
    """Tests of retries would wait for seconds, or not at all."""
    assert Fault.named("rate-limit").retry_after == 0.05
    assert Fault.named("rate-limit", retry_after=3).retry_after == 3
    assert Fault.status(429).retry_after is None


def test_a_fault_is_immutable() -> None:
    """Two servers with one fault would share its state."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Fault.status(500).times = 1  # type: ignore[misc]


def test_requests_are_counted_per_fault() -> None:
    """The second fault of a sequence would apply too early, too late, or never."""
    first, second = Fault.status(500, times=2), Fault.status(503, skip=1, times=1)
    sequence = FaultSequence([first, second])
    assert [sequence.next("openai") for _ in range(5)] == [first, first, None, second, None]


def test_a_fault_of_one_provider_does_not_count_other_providers() -> None:
    """Requests to one provider would use up the faults of another."""
    fault = Fault.status(500, times=1, provider="anthropic")
    sequence = FaultSequence(fault)
    assert [sequence.next(name) for name in ("openai", "anthropic", "anthropic")] == [None, fault, None]


def test_an_empty_sequence_has_no_fault() -> None:
    """A simulator without faults would fail."""
    assert FaultSequence(None).next("openai") is None
