"""The estimate of a provider's rate, apart from the cooldowns that use it."""

import pytest

from anycompletion.ratelimit.rate_estimate import MIN_INTERVAL, RateEstimate


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


def test_answers_that_come_during_the_cooldown_count() -> None:
    """Calls made all at once are answered after the first refusal: the guess would be far too low."""
    few, many = RateEstimate(), RateEstimate()
    for rate, answers in ((few, 7), (many, 50)):
        rate.on_refused(1, 1000, None, 1001)
        for number in range(answers):
            rate.record_success(999.9 + 0.001 * number)
        assert rate.interval(-0.5) == rate.interval(0) == 1 / 8
        rate.on_cooldown_ended()
    assert few.interval(0) == 1 / 8
    assert many.interval(0) == pytest.approx(1 / 50)
    many.record_success(1001.5)
    many.on_cooldown_ended()
    assert many.interval(0) == pytest.approx(1 / 50)
    assert few.interval(1) < few.interval(0) / 2
    assert many.interval(0) / 1.3 < many.interval(1) < many.interval(0)
    assert few.interval(5) < MIN_INTERVAL
    assert many.interval(5) < MIN_INTERVAL
