"""What can go wrong on demand: every fault the simulator knows, as data; never touches a connection."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import attrs

FaultKind: TypeAlias = Literal[
    "status", "body", "garble", "hang", "cut", "reset", "stall", "error", "no-finish", "no-end", "outcome"
]

_AFTER = re.compile(r"(cut|reset|stall|error)-after-(\d+)-events?")


@attrs.frozen(kw_only=True)
class Fault:
    """One thing that goes wrong, as a value. Write ``Fault.status(429)`` or ``Fault.named("overloaded")``.

    A request meets the first fault of the simulator's list that still has something to do with it: `skip` requests
    pass a fault unharmed, the next `times` are hit (None: all of them), the rest go on to the fault after it. So a
    list reads as a script: ``[Fault.status(429, times=2), Fault.named("cut-after-3-events", times=1)]``.

    Raises:
        ValueError: a number is negative, or the status is none.
    """

    kind: FaultKind
    """``status`` an error answer · ``body`` a 200 with `body` instead of an answer · ``garble`` half an answer (or the
    first half of a stream's first event) as if it were whole · ``hang`` no headers · ``cut`` ``reset`` ``stall``
    ``error`` end a stream after `after` events · ``no-finish`` ``no-end`` leave its last events out · ``outcome`` a
    prediction ends as `outcome` says."""
    error: str = "server-error"
    """For ``status`` and ``error``: a row of each provider's own table of errors."""
    status_code: int | None = None
    """For ``status``: the HTTP status; None takes the one of `error`."""
    retry_after: float | None = None
    """For ``status``: seconds the answer asks to wait; None leaves the header out."""
    after: int = 0
    """Stream events that go out before the fault. An answer without events is disturbed after half of its bytes."""
    body: bytes = b""
    content_type: str | None = None
    """For ``body``: None is the type the healthy answer would have had."""
    times: int | None = None
    """Requests that meet this fault; None is all of them."""
    skip: int = 0
    """Requests that pass before."""
    provider: str | None = None
    """Only requests to this provider count; None is every provider."""
    step: str = "ask"
    """Only requests of this step count: those that ask for an answer. Replicate knows ``model``, ``poll``, ``cancel``
    and ``stream`` besides; a fault of streams that meets the request for a prediction waits for that one's stream."""
    outcome: str = ""
    """For ``outcome``: slow, failed, aborted or canceled."""

    def __attrs_post_init__(self) -> None:
        for name in ("retry_after", "after", "times", "skip"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.status_code is not None and not 200 <= self.status_code <= 599:
            raise ValueError(f"status_code must be from 200 to 599, got {self.status_code}")

    @classmethod
    def status(
        cls,
        status_code: int,
        *,
        retry_after: float | None = None,
        times: int | None = None,
        skip: int = 0,
        provider: str | None = None,
        step: str = "ask",
    ) -> Fault:
        """An error answer with that HTTP status, in the words the provider has for it.

        Args:
            status_code: from 200 to 599.
            retry_after: seconds for the retry-after header; fractions are sent as they are.
            times: requests that get it, all by default.
            skip: requests that pass before, 0 by default.
            provider: only this provider's requests.
            step: only requests of this step, by default those that ask for an answer.

        Raises:
            ValueError: a number is out of range.
        """
        return cls(
            kind="status",
            status_code=status_code,
            retry_after=retry_after,
            times=times,
            skip=skip,
            provider=provider,
            step=step,
        )

    @classmethod
    def named(
        cls,
        name: str,
        *,
        retry_after: float | None = None,
        times: int | None = None,
        skip: int = 0,
        provider: str | None = None,
        step: str = "ask",
    ) -> Fault:
        """The fault of that name; see `FAULTS` for all of them and `status` for the arguments.

        Raises:
            ValueError: no fault has that name; the message says which one is closest.
        """
        fault = _find(name)
        wait = fault.retry_after if retry_after is None else retry_after
        whose = provider or fault.provider
        return attrs.evolve(fault, retry_after=wait, times=times, skip=skip, provider=whose, step=step)


FAULTS: Mapping[str, Fault] = {
    "rate-limit": Fault(kind="status", error="rate-limit", retry_after=0.05),
    "quota": Fault(kind="status", error="quota"),
    "overloaded": Fault(kind="status", error="overloaded"),
    "server-error": Fault(kind="status", error="server-error"),
    "unavailable": Fault(kind="status", error="unavailable"),
    "timeout": Fault(kind="status", error="timeout"),
    "bad-request": Fault(kind="status", error="bad-request"),
    "context-length": Fault(kind="status", error="context-length"),
    "content-policy": Fault(kind="status", error="content-policy"),
    "authentication": Fault(kind="status", error="authentication"),
    "permission": Fault(kind="status", error="permission"),
    "not-found": Fault(kind="status", error="not-found"),
    "no-finish-reason": Fault(kind="no-finish"),
    "no-done": Fault(kind="no-end"),
    "hang": Fault(kind="hang"),
    "malformed-json": Fault(kind="garble"),
    "html": Fault(
        kind="body",
        body=b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Please log in.</body></html>\n",
        content_type="text/html; charset=utf-8",
    ),
    "empty": Fault(kind="body"),
    **{
        f"{outcome}-prediction": Fault(kind="outcome", outcome=outcome, provider="replicate")
        for outcome in ("slow", "failed", "aborted", "canceled")
    },
}
"""Fault by name. Besides these: ``cut-after-N-events`` (the body ends cleanly in the middle of the stream),
``reset-after-N-events`` (the TCP connection is reset), ``stall-after-N-events`` (no more bytes until the client leaves,
for 30 seconds at most) and ``error-after-N-events`` (the provider's own error event), for any number N. The outcomes of
predictions are Replicate's only; a slow one is not done when the wait for it is over."""


def _find(name: str) -> Fault:
    if name in FAULTS:
        return FAULTS[name]
    if match := _AFTER.fullmatch(name):
        return _after(match[1], int(match[2]))
    known = [*FAULTS, *(f"{kind}-after-3-events" for kind in ("cut", "reset", "stall", "error"))]
    close = difflib.get_close_matches(name, known, 1, 0)
    raise ValueError(f"no fault is called {name!r}; the closest is {close[0]!r}")


def _after(kind: str, events: int) -> Fault:
    match kind:
        case "cut":
            return Fault(kind="cut", after=events)
        case "reset":
            return Fault(kind="reset", after=events)
        case "stall":
            return Fault(kind="stall", after=events)
        case _:
            return Fault(kind="error", error="overloaded", after=events)


Faults: TypeAlias = "Sequence[Fault | str] | Fault | str | None"
"""What the simulator takes for its faults: one or several, as values or by name."""


class FaultScript:
    """A list of faults and how many requests each has seen."""

    def __init__(self, faults: Faults) -> None:
        self.faults = tuple(_as_faults(faults))
        self._seen = [0] * len(self.faults)

    def next(self, provider: str, step: str = "ask") -> Fault | None:
        """The fault that the next request to `provider` meets, if that is what `step` says."""
        for at, fault in enumerate(self.faults):
            if fault.provider not in (None, provider) or fault.step != step:
                continue
            self._seen[at] += 1
            turn = self._seen[at] - fault.skip
            if turn > 0 and (fault.times is None or turn <= fault.times):
                return fault
        return None


def _as_faults(faults: Faults) -> Iterable[Fault]:
    if faults is None:
        return ()
    if isinstance(faults, (Fault, str)):
        faults = (faults,)
    return (Fault.named(fault) if isinstance(fault, str) else fault for fault in faults)
