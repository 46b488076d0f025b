"""Table of the recordings that passed all their tests, for each provider."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from anycompletion.testing import Recording
from conformance import traffic
from conformance.predictions import grouped

KINDS = ("reply", "stream", "error")


def outcome_kind(recording: Recording) -> str:
    """Whether a recording is an error, a stream or a reply."""
    if traffic.is_error(recording):
        return "error"
    return "stream" if traffic.is_stream(recording) else "reply"


class RecordingTable:
    """Counts of tested recordings: one passed if all tests that have it as a parameter passed."""

    def __init__(self) -> None:
        self._passed: dict[str, bool] = {}
        """Id → whether all its tests passed so far."""
        self._recordings = {recording.id: recording for recording in traffic.recorded(*traffic.RECORDINGS)}
        self._groups = grouped(traffic.recorded(traffic.REPLICATE))

    def add(self, parameters: Mapping[str, Any], report: pytest.TestReport) -> None:
        """Counts one phase of a test."""
        recording, group = parameters.get("recording"), parameters.get("group")
        found = [recording] if isinstance(recording, Recording) else self._groups.get(str(group), [])
        was_skipped = report.skipped and not hasattr(report, "wasxfail")
        if was_skipped or (report.when != "call" and not report.failed):
            return
        for each in found:
            self._passed[each.id] = self._passed.get(each.id, True) and report.passed

    def lines(self) -> Iterator[str]:
        """The table: passed recordings of all tested ones, by provider and kind."""
        if not self._passed:
            return
        rows: dict[str, dict[str, list[bool]]] = {}
        for name, passed in self._passed.items():
            recording = self._recordings[name]
            for provider in (recording.provider, "all"):
                kinds = rows.setdefault(provider, {kind: [] for kind in KINDS})
                kinds[outcome_kind(recording)].append(passed)
        yield f"{'recordings that passed':24}" + "".join(f"{kind:>14}" for kind in KINDS)
        for provider, kinds in sorted(rows.items(), key=lambda row: (row[0] == "all", row[0])):
            counts = [f"{sum(passed)} of {len(passed)}" if passed else "-" for passed in kinds.values()]
            yield f"  {provider:22}" + "".join(f"{count:>14}" for count in counts)
