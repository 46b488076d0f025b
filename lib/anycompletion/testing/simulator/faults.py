"""Faults that the simulator and the fakes inject, as data; never touches a connection."""

from __future__ import annotations

import difflib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, cast, get_args

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
    "choices",
    "calls",
    "pause",
    "outcome",
]

CallOutcome: TypeAlias = Literal["", "no-ids", "same-ids", "unknown-tool", "broken-arguments", "cut"]
"""For a fault of the kind ``calls``: what is wrong with the calls; "" for nothing."""

_AFTER_EVENTS = re.compile(r"(cut|close|reset|stall|error)-after-(\d+)-events?")
_CHOICES = re.compile(r"(\d+)-choices?")
_CALLS = re.compile(r"(\d+)-calls?")

RawAction: TypeAlias = Literal[
    "answer", "head", "slow-head", "chunked-head", "half", "endless", "close", "reset", "stall"
]
RawStep: TypeAlias = "bytes | float | RawAction"
"""One step of a response that no HTTP library would send: bytes as they are, seconds to wait, or an action:

``answer`` sends the whole response · ``head`` its status line and headers · ``slow-head`` the same, a byte each tenth
of a second · ``chunked-head`` the same, for a body in chunks · ``half`` the first half of its body · ``endless`` white
space until the client disconnects · ``close`` ``reset`` end the connection · ``stall`` waits until the client
disconnects, for 30 seconds at most. A script that ends otherwise closes the connection."""

_ACTIONS = frozenset(get_args(RawAction))


@attrs.frozen(kw_only=True)
class Fault:
    """One fault to inject, as a value. Write ``Fault.status(429)`` or ``Fault.named("overloaded")``.

    Each request gets the first fault of the list that applies to it: a fault skips its first `skip` requests, applies
    to the next `times` (None: all of them), and leaves the others to the faults after it. So a list is a sequence:
    ``[Fault.status(429, times=2), Fault.named("cut-after-3-events", times=1)]``.

    Raises:
        ValueError: a number is negative, or the status is not an HTTP status.
    """

    kind: FaultKind
    """``status`` an error response · ``body`` a response with `body` instead of its own · ``headers`` a response with
    additional `headers` · ``raw`` the bytes of `script` · ``garble`` half a response (or the first half of a stream's
    first event) as if it were whole · ``hang`` no headers · ``cut`` ``close`` ``reset`` ``stall`` ``error`` end a
    stream after `after` events · ``no-finish`` ``no-end`` omit its last events · ``choices`` a reply has that many
    `choices`, whatever ``n`` asks for · ``calls`` a reply that calls a tool has that many `calls` of it, with `outcome`
    · ``pause`` a reply of Anthropic's is only paused · ``outcome`` a prediction ends with `outcome`."""
    error: str = "server-error"
    """For ``status`` and ``error``: the name of an error that each provider has."""
    status_code: int | None = None
    """For ``status``: the HTTP status; None takes the one of `error`. For ``body``: None is 200."""
    retry_after: float | None = None
    """For ``status``: seconds the response asks to wait; None omits the header."""
    after: int = 0
    """Stream events that are sent before the fault. A response without events fails after half of its bytes."""
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    """For ``body``: the bytes of the response's body."""
    content_type: str | None = None
    """For ``body``: None is the type of the response without the fault."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], hash=False, repr=False)
    """For ``body``, ``headers`` and ``raw``: headers in addition to those of the response without the fault."""
    script: tuple[RawStep, ...] = ()
    """For ``raw``: the steps to perform instead of sending the response."""
    times: int | None = None
    """Requests that get this fault; None is all of them."""
    skip: int = 0
    """Requests without the fault before the first one with it."""
    provider: str | None = None
    """Applies only to requests to this provider; None is every provider."""
    step: str = "ask"
    """Applies only to requests of this step, by default those that ask for a reply. Replicate also has ``model``,
    ``poll``, ``cancel`` and ``stream``; a stream fault that the request for a prediction gets applies to the stream of
    that prediction."""
    choices: int = 1
    """For ``choices``: how many there are. A format whose replies have one choice only ignores it."""
    calls: int = 1
    """For ``calls``: how many there are; the legacy form has a place for one."""
    outcome: str = ""
    """For ``outcome``: slow, failed, aborted or canceled. For ``calls``: a `CallOutcome`."""

    def __attrs_post_init__(self) -> None:
        for name in ("retry_after", "after", "times", "skip"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("choices", "calls"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.status_code is not None and not 200 <= self.status_code <= 599:
            raise ValueError(f"status_code must be from 200 to 599, got {self.status_code}")
        for step in self.script:
            if isinstance(step, str) and step not in _ACTIONS:
                raise ValueError(f"no step of a script is called {step!r}; the steps are {', '.join(sorted(_ACTIONS))}")

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
        """An error response with that HTTP status, with the provider's own error for it.

        Args:
            status_code: from 200 to 599.
            retry_after: seconds for the retry-after header; fractions are sent as they are.
            times: requests that get it, all by default.
            skip: requests before the first one that gets it, 0 by default.
            provider: only requests to this provider.
            step: only requests of this step, by default those that ask for a reply.

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
        """A response as raw bytes and actions: ``Fault.raw(b"HTTP/1.1 20", 0.5, "reset")``.

        Args:
            script: bytes, seconds and actions, as `RawStep` describes them.
            headers: additional headers of the response, where the script sends its head; a second content-length, for
                example.
            times: requests that get it, all by default.
            skip: requests before the first one that gets it, 0 by default.
            provider: only requests to this provider.
            step: only requests of this step, by default those that ask for a reply.

        Raises:
            ValueError: an action is unknown, or a number is negative.
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
            ValueError: no fault has that name; the message names the closest one.
        """
        fault = _find(name)
        wait = fault.retry_after if retry_after is None else retry_after
        provider = provider or fault.provider
        return attrs.evolve(fault, retry_after=wait, times=times, skip=skip, provider=provider, step=step)


def _bomb() -> bytes:
    """256 MiB of zeros in 256 KiB of gzip: one block repeated, so that making it costs little."""
    compressor = zlib.compressobj(wbits=31)
    first, other = (compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + other * 255


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
    "unknown-encoding": Fault(kind="headers", headers={"content-encoding": "x-unknown"}),
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
    "missing-call-ids": Fault(kind="calls", calls=2, outcome="no-ids"),
    "duplicate-call-ids": Fault(kind="calls", calls=2, outcome="same-ids"),
    "unknown-tool": Fault(kind="calls", outcome="unknown-tool"),
    "broken-arguments": Fault(kind="calls", outcome="broken-arguments"),
    "cut-call": Fault(kind="calls", outcome="cut"),
    "pause-turn": Fault(kind="pause"),
    **{
        f"{outcome}-prediction": Fault(kind="outcome", outcome=outcome, provider="replicate")
        for outcome in ("slow", "failed", "aborted", "canceled")
    },
}
"""Fault by name. In addition: ``cut-after-N-events`` (the body ends cleanly in the middle of the stream),
``close-after-N-events`` and ``reset-after-N-events`` (the TCP connection is closed before the body ends, or reset),
``stall-after-N-events`` (no more bytes until the client disconnects, for 30 seconds at most) and
``error-after-N-events`` (the provider's own error event), for any number N; ``1-choice``, ``2-choices`` and so on (a
reply with that many choices, whatever ``n`` asks for); ``1-call``, ``2-calls`` and so on (a reply that calls a tool
calls it that many times). Faults of calls change replies that have some; ids are missing only where the format has
replies without them, and ``cut-call`` ends at the token limit. Only Anthropic pauses turns. Only Replicate has outcomes
of predictions; a slow one is not done when the wait for it is over. ``early-hints``, ``slow-headers``,
``second-answer`` and faults that omit a stream's last events show whether a client takes valid responses for errors, or
errors for valid ones."""


def _find(name: str) -> Fault:
    if name in FAULTS:
        return FAULTS[name]
    if match := _AFTER_EVENTS.fullmatch(name):
        error = "overloaded" if match[1] == "error" else "server-error"
        return Fault(kind=cast("FaultKind", match[1]), error=error, after=int(match[2]))
    if match := _CHOICES.fullmatch(name):
        return Fault(kind="choices", choices=int(match[1]))
    if match := _CALLS.fullmatch(name):
        return Fault(kind="calls", calls=int(match[1]))
    known = [
        *FAULTS,
        "1-choice",
        "1-call",
        *(f"{kind}-after-3-events" for kind in ("cut", "close", "reset", "stall", "error")),
    ]
    close = difflib.get_close_matches(name, known, 1, 0)
    raise ValueError(f"no fault is called {name!r}; the closest is {close[0]!r}")


Faults: TypeAlias = "Sequence[Fault | str] | Fault | str | None"
"""One fault or several, as values or by name."""


class FaultSequence:
    """A list of faults with the number of requests that each has counted."""

    def __init__(self, faults: Faults) -> None:
        self.faults = tuple(_as_faults(faults))
        self._counts = [0] * len(self.faults)

    def next(self, provider: str, step: str = "ask") -> Fault | None:
        """The fault for the next request to `provider`, which is of the given step; None for none."""
        for at, fault in enumerate(self.faults):
            if fault.provider not in (None, provider) or fault.step != step:
                continue
            self._counts[at] += 1
            number = self._counts[at] - fault.skip
            if number > 0 and (fault.times is None or number <= fault.times):
                return fault
        return None


def _as_faults(faults: Faults) -> Iterable[Fault]:
    if faults is None:
        return ()
    if isinstance(faults, (Fault, str)):
        faults = (faults,)
    if not isinstance(cast("object", faults), Iterable):
        raise TypeError(f"fault must be a name, a Fault or several of them, found {type(faults).__name__}")
    return (Fault.named(fault) if isinstance(fault, str) else fault for fault in faults)
