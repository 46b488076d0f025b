"""Tests of the circuit breaker of a target: state by state, and against a plain model of its rules."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import InternalServerError, InvalidRequestError, RateLimitError
from anycompletion.routing import CircuitBreaker
from anycompletion.routing.target_health import TargetHealth

BREAKER = CircuitBreaker(failures=3, within=60.0, seconds=15.0, longest=100.0)
DOWN = InternalServerError("down", status_code=500)


def fail(health: TargetHealth, now: float) -> bool:
    """A visit that fails at once; returns whether it opened the circuit."""
    is_probe = health.begin()
    opened = health.on_failure(BREAKER, now, DOWN, is_probe=is_probe)
    health.end(is_probe=is_probe)
    return opened


def succeed(health: TargetHealth, now: float) -> None:
    """A visit that is answered at once."""
    is_probe = health.begin()
    health.on_success(now, is_probe=is_probe)
    health.end(is_probe=is_probe)


def opened_at(now: float) -> TargetHealth:
    """A target whose circuit has just opened."""
    health = TargetHealth()
    assert [fail(health, now) for _ in range(3)] == [False, False, True]
    return health


def test_failures_in_a_row_open_the_circuit() -> None:
    """A dead target would be visited by every call, or a healthy one would be passed by."""
    health = TargetHealth()
    assert (fail(health, 0), fail(health, 1)) == (False, False)
    assert health.may_visit(1)
    assert fail(health, 2)
    assert not health.may_visit(2)
    assert (health.state(2), health.retry_in(2)) == ("open", 15.0)


def test_a_success_resets_the_failures() -> None:
    """Rare failures would add up until the circuit opens."""
    health = TargetHealth()
    for now in range(20):
        assert not fail(health, now)
        assert not fail(health, now)
        succeed(health, now)
    assert health.state(20) == "closed"


def test_old_failures_do_not_count() -> None:
    """Three failures within a day would open the circuit of a target that few calls visit."""
    health = TargetHealth()
    assert not any(fail(health, now) for now in (0, 30, 61, 92, 123))
    assert fail(health, 124)
    assert health.state(124) == "open"


def test_one_probe_goes_through_after_the_time() -> None:
    """All calls would reach a dead target at the end of its pause, or none would ever probe it."""
    health = opened_at(0)
    assert not health.may_visit(14.9)
    assert health.may_visit(15)
    assert health.begin()
    assert health.state(15) == "half_open"
    assert not any(health.may_visit(now) for now in (15, 16, 1000))
    assert not health.begin()


def test_a_probe_that_succeeds_closes_the_circuit() -> None:
    """A target that has recovered would stay closed to calls."""
    health = opened_at(0)
    succeed(health, 15)
    assert (health.state(15), health.may_visit(15), health.blocked_until) == ("closed", True, 0.0)
    assert not fail(health, 16)


def test_failed_probes_double_the_pause_up_to_the_longest() -> None:
    """A target that stays away would be probed too often, or some day never again."""
    health, now, pauses = opened_at(0), 15.0, [15.0]
    for _ in range(5):
        assert fail(health, now)
        pauses.append(health.open_until - now)
        now = health.open_until
    assert pauses == [15, 30, 60, 100, 100, 100]
    succeed(health, now)
    assert [fail(health, now) for _ in range(3)][-1]
    assert health.open_until == now + 15


def test_the_first_content_of_a_stream_resets_no_failures() -> None:
    """A target whose streams all break would stay closed, and get all calls."""
    health = TargetHealth()
    for now in range(3):
        assert health.state(now) == "closed"
        is_probe = health.begin()
        health.on_success(now, is_probe=is_probe, is_whole=False)
        health.on_failure(BREAKER, now, DOWN, is_probe=is_probe)
        health.end(is_probe=is_probe)
    assert health.state(3) == "open"
    is_probe = health.begin()
    health.on_success(17, is_probe=is_probe, is_whole=False)
    health.end_probe()
    assert health.state(17) == "closed"
    assert health.is_troubled
    health.on_failure(BREAKER, 18, DOWN, is_probe=is_probe)
    assert (health.state(18), health.retry_in(18)) == ("open", 30)
    health.end(is_probe=False)
    succeed(health, 48)
    assert (health.state(48), health.is_troubled) == ("closed", False)


def test_a_probe_without_an_outcome_leaves_the_next_call_to_probe() -> None:
    """A probe whose caller cancels would block its target for ever."""
    health = opened_at(0)
    assert health.begin()
    health.end(is_probe=True)
    assert health.may_visit(15)
    assert health.begin()


def test_late_failures_neither_open_again_nor_lengthen() -> None:
    """Calls that were under way at the begin of an outage would multiply the pause."""
    health = TargetHealth()
    late = [health.begin() for _ in range(10)]
    for is_probe in late[:3]:
        health.on_failure(BREAKER, 0, DOWN, is_probe=is_probe)
    for is_probe in late[3:]:
        assert not health.on_failure(BREAKER, 5, DOWN, is_probe=is_probe)
    assert health.open_until == 15


def test_a_late_success_does_not_close_the_circuit() -> None:
    """One answer from before an outage would send all calls back into it."""
    health = TargetHealth()
    before = health.begin()
    for _ in range(3):
        fail(health, 0)
    health.on_success(1, is_probe=before)
    assert health.state(1) == "open"


def test_a_rejection_opens_for_the_longest_and_counts_once() -> None:
    """A revoked key would be tried by every call, or be reported by each of those that were under way."""
    health = TargetHealth()
    assert health.on_rejected(BREAKER, 0, DOWN, is_probe=False)
    assert not health.on_rejected(BREAKER, 1, DOWN, is_probe=False)
    assert health.retry_in(1) == 100
    assert health.on_rejected(BREAKER, 101, DOWN, is_probe=health.begin())


def test_a_new_opening_never_shortens_an_old_one() -> None:
    """A failure after a rejection would send calls to a target that refuses all of them."""
    health = TargetHealth()
    health.on_rejected(BREAKER, 0, DOWN, is_probe=False)
    for now in range(3):
        health.on_failure(BREAKER, now, DOWN, is_probe=False)
    assert health.open_until == 100


def test_a_rate_limit_pauses_without_opening() -> None:
    """A target that only asks for a pause would be probed as if it had failed."""
    health = TargetHealth()
    health.on_rate_limit(5, 0, RateLimitError("slow down", retry_after=5))
    assert (health.state(1), health.may_visit(1), health.retry_in(1)) == ("closed", False, 4)
    assert health.may_visit(5)
    assert not health.begin()
    health.on_success(5, is_probe=False)
    assert (health.blocked_until, health.last_error) == (0.0, None)


STEPS = st.lists(
    st.tuples(st.sampled_from(["fail", "succeed", "cancel"]), st.floats(0.0, 40.0, allow_nan=False)), max_size=40
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_visits_one_after_the_other_follow_the_rules(steps: list[tuple[str, float]]) -> None:
    """The breaker would let a call through that it must hold back, or the reverse, after some history."""
    health, now = TargetHealth(), 0.0
    failures: list[float] = []
    open_until = open_for = 0.0
    for outcome, pause in steps:
        now += pause
        assert health.may_visit(now) == (now >= open_until)
        if not health.may_visit(now):
            continue
        is_probe = health.begin()
        assert is_probe == bool(open_until)
        assert not is_probe or not health.may_visit(now)
        if outcome == "fail":
            health.on_failure(BREAKER, now, DOWN, is_probe=is_probe)
            failures = [*failures, now][-3:]
            if is_probe:
                open_for = min(2 * open_for, 100.0)
                open_until, failures = now + open_for, []
            elif len(failures) == 3 and now - failures[0] <= 60:
                open_for = 15.0
                open_until, failures = now + 15.0, []
        elif outcome == "succeed":
            health.on_success(now, is_probe=is_probe)
            open_until, failures = 0.0, []
        health.end(is_probe=is_probe)
        assert health.in_flight == 0


@pytest.mark.parametrize(
    "wrong",
    [{"failures": 0}, {"failures": 1.5}, {"within": 0}, {"seconds": -1}, {"longest": float("inf")}, {"seconds": "15"}],
)
def test_a_breaker_refuses_what_cannot_work(wrong: dict[str, float]) -> None:
    """A mistake in the configuration would show in an outage only."""
    with pytest.raises(InvalidRequestError) as caught:
        CircuitBreaker(**wrong)  # type: ignore[arg-type]
    assert caught.value.param == next(iter(wrong))


def test_a_breaker_pickles_and_is_shown_by_what_differs() -> None:
    """A client with routes could not be sent to another process."""
    breaker = CircuitBreaker(failures=5)
    assert pickle.loads(pickle.dumps(breaker)) == breaker  # noqa: S301 (made here)
    assert repr(breaker) == "CircuitBreaker(failures=5)"
