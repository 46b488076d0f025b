"""The pause of a batch's intake: when an outage begins and ends, and when the provider is tried again."""

from __future__ import annotations

from anycompletion.batch.outage_pause import OutagePause


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(pause: OutagePause, times: int) -> None:
    for _ in range(times):
        pause.on_failure()


def test_five_failures_in_a_row_begin_an_outage() -> None:
    """A few errors of a busy provider would stop the batch, or an outage would not."""
    pause = OutagePause(Clock())
    pause.on_answer()
    fail(pause, 4)
    pause.on_answer()
    fail(pause, 4)
    assert not pause.is_active
    assert pause.remaining == 0
    fail(pause, 1)
    assert pause.is_active
    assert pause.remaining == 0.5


def test_an_answer_ends_it() -> None:
    """The batch would stay slow after the outage."""
    pause = OutagePause(Clock())
    pause.on_answer()
    fail(pause, 9)
    pause.on_answer()
    assert not pause.is_active
    assert pause.remaining == 0


def test_waits_double_with_each_failed_attempt_only() -> None:
    """Many failures at the same moment would lengthen the wait to its maximum."""
    clock = Clock()
    pause = OutagePause(clock)
    pause.on_answer()
    fail(pause, 100)
    waits = [pause.remaining]
    for _ in range(8):
        clock.now += pause.remaining
        fail(pause, 1)
        waits.append(pause.remaining)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_it_ends_after_ten_minutes_and_never_begins_before_the_first_answer() -> None:
    """A batch would wait forever for a provider that does not exist."""
    clock = Clock()
    pause = OutagePause(clock)
    fail(pause, 50)
    assert not pause.is_active
    pause.on_answer()
    fail(pause, 50)
    clock.now += 599
    assert pause.is_active
    clock.now += 1
    assert not pause.is_active
    assert pause.remaining == 0
