"""What can go wrong on demand: every fault the simulator knows, as data; never touches a connection."""

from __future__ import annotations

import difflib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

import attrs

FaultKind: TypeAlias = Literal[
    "status",
    "body",
    "headers",
    "raw",
    "garble",
    "hang",
    "cut",
    "close",
    "reset",
    "stall",
    "error",
    "no-finish",
    "no-end",
    "outcome",
]

_AFTER = re.compile(r"(cut|close|reset|stall|error)-after-(\d+)-events?")

RawWord: TypeAlias = Literal[
    "answer", "head", "slow-head", "chunked-head", "half", "endless", "close", "reset", "stall"
]
RawStep: TypeAlias = "bytes | float | RawWord"
"""One step of an answer that no HTTP library would send: bytes as they are, seconds to wait, or a word:

``answer`` the healthy answer, whole · ``head`` its status line and headers · ``slow-head`` the same, a byte each tenth
of a second · ``chunked-head`` the same, for a body in chunks · ``half`` the first half of its body · ``endless`` white
space until the client leaves · ``close`` ``reset`` end the connection · ``stall`` waits until the client leaves, for 30
seconds at most. A script that ends otherwise closes the connection."""

_WORDS = frozenset(get_args(RawWord))


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
    """``status`` an error answer · ``body`` an answer with `body` instead of what it should say · ``headers`` the right
    answer with `headers` besides · ``raw`` what `script` says, byte by byte · ``garble`` half an answer (or the first
    half of a stream's first event) as if it were whole · ``hang`` no headers · ``cut`` ``close`` ``reset`` ``stall``
    ``error`` end a stream after `after` events · ``no-finish`` ``no-end`` leave its last events out · ``outcome`` a
    prediction ends as `outcome` says."""
    error: str = "server-error"
    """For ``status`` and ``error``: a row of each provider's own table of errors."""
    status_code: int | None = None
    """For ``status``: the HTTP status; None takes the one of `error`. For ``body``: None is 200."""
    retry_after: float | None = None
    """For ``status``: seconds the answer asks to wait; None leaves the header out."""
    after: int = 0
    """Stream events that go out before the fault. An answer without events is disturbed after half of its bytes."""
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    content_type: str | None = None
    """For ``body``: None is the type the healthy answer would have had."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], hash=False, repr=False)
    """For ``body``, ``headers`` and ``raw``: headers besides those of the healthy answer."""
    script: tuple[RawStep, ...] = ()
    """For ``raw``: what goes over the wire instead of the answer."""
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
        for step in self.script:
            if isinstance(step, str) and step not in _WORDS:
                raise ValueError(f"no step of a script is called {step!r}; there are {', '.join(sorted(_WORDS))}")

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
    def raw(
        cls,
        *script: RawStep,
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
        skip: int = 0,
        provider: str | None = None,
        step: str = "ask",
    ) -> Fault:
        """Whatever `script` says instead of an answer: ``Fault.raw(b"HTTP/1.1 20", 0.5, "reset")``.

        Args:
            script: bytes, seconds and words, as `RawStep` describes them.
            headers: headers of the healthy answer besides its own, where the script has its head; a second
                content-length is one of them.
            times: requests that get it, all by default.
            skip: requests that pass before, 0 by default.
            provider: only this provider's requests.
            step: only requests of this step, by default those that ask for an answer.

        Raises:
            ValueError: a word is unknown, or a number is negative.
        """
        return cls(
            kind="raw", script=script, headers=headers or {}, times=times, skip=skip, provider=provider, step=step
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


def _bomb() -> bytes:
    """256 MiB of nothing in 256 KiB of gzip: one block over and over, so that making it costs nothing."""
    press = zlib.compressobj(wbits=31)
    first, again = (press.compress(bytes(1 << 20)) + press.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * 255


_HUGE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n{"

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
    "html-error": Fault(
        kind="body",
        status_code=502,
        body=b"<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>\n",
        content_type="text/html",
    ),
    "empty": Fault(kind="body"),
    "redirect": Fault(kind="body", status_code=307, headers={"location": "https://elsewhere.invalid/v1"}),
    "gzip-bomb": Fault(kind="body", body=_bomb(), headers={"content-encoding": "gzip"}),
    "false-gzip": Fault(kind="headers", headers={"content-encoding": "gzip"}),
    "unknown-encoding": Fault(kind="headers", headers={"content-encoding": "x-nobody-knows"}),
    "long-header": Fault(kind="headers", headers={"x-long": "x" * 100_000}),
    "many-headers": Fault(kind="headers", headers={f"x-{number}": "x" for number in range(500)}),
    "close-before-answer": Fault.raw("close"),
    "reset-before-answer": Fault.raw("reset"),
    "half-status-line": Fault.raw(b"HTTP/1.1 20", "close"),
    "half-headers": Fault.raw(b"HTTP/1.1 200 OK\r\nContent-Type: applic", "close"),
    "garbage": Fault.raw(b"\x15\x03\x01\x00\x02\x02\x46 this is no HTTP\r\n\r\n", "close"),
    "slow-headers": Fault.raw("slow-head", "close"),
    "early-hints": Fault.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n", "answer"),
    "two-lengths": Fault.raw("answer", headers={"content-length": "7"}),
    "huge-length": Fault.raw(_HUGE, "stall"),
    "short-body": Fault.raw("head", "half", "close"),
    "reset-in-body": Fault.raw("head", "half", 0.05, "reset"),
    "bad-chunk-size": Fault.raw("chunked-head", "half", 0.05, b"no number\r\n", "stall"),
    "endless-body": Fault.raw("chunked-head", "endless"),
    "second-answer": Fault.raw("answer", "answer", "stall"),
    **{
        f"{outcome}-prediction": Fault(kind="outcome", outcome=outcome, provider="replicate")
        for outcome in ("slow", "failed", "aborted", "canceled")
    },
}
"""Fault by name. Besides these: ``cut-after-N-events`` (the body ends cleanly in the middle of the stream),
``close-after-N-events`` and ``reset-after-N-events`` (the TCP connection is closed before the body ends, or reset),
``stall-after-N-events`` (no more bytes until the client leaves, for 30 seconds at most) and ``error-after-N-events``
(the provider's own error event), for any number N. The outcomes of predictions are Replicate's only; a slow one is not
done when the wait for it is over. ``early-hints``, ``slow-headers``, ``second-answer`` and the cuts of an answer's last
events are for clients that take too much or too little for an error."""


def _find(name: str) -> Fault:
    if name in FAULTS:
        return FAULTS[name]
    if match := _AFTER.fullmatch(name):
        return _after(match[1], int(match[2]))
    known = [*FAULTS, *(f"{kind}-after-3-events" for kind in ("cut", "close", "reset", "stall", "error"))]
    close = difflib.get_close_matches(name, known, 1, 0)
    raise ValueError(f"no fault is called {name!r}; the closest is {close[0]!r}")


def _after(kind: str, events: int) -> Fault:
    match kind:
        case "cut":
            return Fault(kind="cut", after=events)
        case "close":
            return Fault(kind="close", after=events)
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
