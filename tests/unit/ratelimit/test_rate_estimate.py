"""The estimate of a provider's rate, apart from the cooldowns that use it."""

import pytest

from anycompletion.ratelimit.rate_estimate import RateEstimate


@pytest.mark.parametrize(("hint", "longest"), [(0.002, 0.02), (0.5, 0.5), (20, 20)])
def test_random_refusals_do_not_stop_all_calls(hint: float, longest: float) -> None:
    """Each refusal would slow all calls down without end, although every other call succeeds."""
    rate, now, elapsed = RateEstimate(), 1000.0, None
    for _ in range(100):
        until = now + hint
        rate.on_refused(hint, now, elapsed, until)
        elapsed = rate.interval(0)
        now = until + elapsed
        rate.record_success(now)
    assert rate.interval(0) <= longest


def test_old_successes_do_not_count() -> None:
    """A service would continue at the rate of a quiet night."""
    rate, now = RateEstimate(), 200_000.0
    for number in range(1000):
        rate.record_success(now - 100_000 + 50 * number)
    for _ in range(100):
        rate.record_success(now - 1)
    rate.on_refused(1, now, None, now + 1)
    assert rate.interval(0) <= 2 / 100


def test_a_guess_grows_at_once_and_a_measured_rate_only_after_a_while() -> None:
    """A guess that is far too low would be kept for a minute, or a provider would refuse calls every second."""
    rate = RateEstimate()
    rate.on_refused(1, 1000, None, 1001)
    guess = rate.interval(0)
    assert rate.interval(1) < guess
    rate.on_refused(1, 1005, 4, 1006)
    measured = rate.interval(0)
    assert guess > measured == rate.interval(9)
    assert rate.interval(40) < measured / 2
