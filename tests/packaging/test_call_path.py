"""Bounds on the call path: functions, files and coroutines of this package per warm call and per streamed chunk."""

import sys

import pytest
from benchmarks import call_path
from benchmarks.call_path import Bound, Function, Measurement

pytestmark = [
    pytest.mark.skipif(not call_path.JUDGED, reason="the counts depend on the version; the bounds are for 3.11"),
    pytest.mark.skipif(
        sys.gettrace() is not None or sys.getprofile() is not None,
        reason="a debugger, a coverage tool or another profiler is active",
    ),
]


@pytest.fixture(scope="module")
def measurement() -> Measurement:
    return call_path.measure()


@pytest.mark.parametrize("bound", call_path.BOUNDS, ids=lambda bound: bound.figure)
def test_call_path_does_not_exceed_its_bounds(bound: Bound, measurement: Measurement) -> None:
    """A call or a chunk would pass through more of our functions, files or coroutines than its bound allows."""
    assert bound.value(measurement) <= bound.at_most


def test_measurement_contains_the_whole_warm_call_and_nothing_else(measurement: Measurement) -> None:
    """The measurement would miss the call, count code outside the package, or measure a cold call."""
    entered = [*measurement.call, *measurement.chunk]
    assert "AsyncCompletion.create" in {each.name for each in measurement.call}
    assert "AsyncCompletion.create" in {each.name for each in measurement.stack}
    assert any(each.name.endswith(".__anext__") for each in measurement.chunk)
    assert not [each for each in entered if each.file.startswith(("testing", "/")) or each.name == "<module>"]


def test_figure_fails_above_its_bound_only() -> None:
    """A figure that is above its bound would pass, or one that is equal to it would fail."""
    functions = [Function("client.py", line, "call") for line in range(3)]
    measurement = Measurement(call=functions, stack=functions, chunk=[])
    assert Bound("entries", "entries per call", 3).verdict(measurement) == "pass"
    assert Bound("entries", "entries per call", 2).verdict(measurement) == "FAIL"
    assert Bound("files", "files per call", 0).verdict(measurement) == "FAIL"
    assert Bound("coroutines", "coroutines at the first write", 2).verdict(measurement) == "FAIL"
    assert Bound("chunk_entries", "entries per chunk", 0).verdict(measurement) == "pass"
