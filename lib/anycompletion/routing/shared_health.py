"""Health of targets that several processes share: an open circuit of one is open in all of them."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Protocol

from .._async import running_loop
from ..calls import CallPlan
from ..errors import CompletionError, ServiceUnavailableError
from ..logs import observer_failed
from ..options import Secret
from ..providers import origin
from .target_health import TargetHealth

_SAME = 1.0
"""Seconds by which two times of one opening may differ: clocks are read at both ends of a connection."""


class SharedHealth(Protocol):
    """Where processes inform each other which targets of routes they pass by; ``AsyncCompletion(route_health=...)``.

    Targets are named by digests of provider, origin, key and model. Both methods are called in the middle of calls, so
    that they must answer at once. Their exceptions are logged, and the process then has what it knows itself.
    """

    def publish(self, target: str, seconds: float) -> None:
        """Informs the others that this process passes a target by for so many seconds."""
        ...

    def open_until(self, target: str) -> float:
        """When the others will have passed a target by, on the event loop's clock, as far as is known; else 0.0."""
        ...


class SharedTargetHealth(TargetHealth):
    """Health of one target, whose openings other processes learn of, as this one learns of theirs.

    An opening of another process counts once, so that a probe of this one that succeeds closes the circuit.
    """

    __slots__ = ("_blocked_until", "_known_until", "_name", "_shared")

    def __init__(self, shared: SharedHealth, name: str) -> None:
        self._shared = shared
        self._name = name
        self._blocked_until = 0.0
        self._known_until = 0.0
        """The latest end of an opening that was published or taken over."""
        super().__init__()

    # Read by each call that may go to the target, and so the place where openings of others are looked for.
    @property
    def blocked_until(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The later end of an opening and of a pause; 0 while there is neither."""
        try:
            until = self._shared.open_until(self._name)
        except Exception as error:  # noqa: BLE001 (of user code, whatever it is)
            observer_failed("route_health", error)
            until = 0.0
        if until > self._known_until + _SAME and running_loop() is not None:
            self._take_over(until, asyncio.get_running_loop().time())
        return self._blocked_until

    @blocked_until.setter
    def blocked_until(self, value: float) -> None:
        self._blocked_until = value

    def _take_over(self, until: float, now: float) -> None:
        self._known_until = until
        if until > now:
            error = ServiceUnavailableError("another process found that the target fails, and passes it by")
            super()._open(until - now, now, error)

    def _open(self, seconds: float, now: float, error: CompletionError) -> None:
        super()._open(seconds, now, error)
        if self.open_until <= self._known_until:
            return
        self._known_until = self.open_until
        try:
            self._shared.publish(self._name, self.open_until - now)
        except Exception as failure:  # noqa: BLE001 (as above)
            observer_failed("route_health", failure)


def target_digest(plan: CallPlan) -> str | None:
    """The name under which processes share the health of the target of a plan: a digest, of which the key is a part.

    Of AWS's credentials, that is the access key's id. None where a function gives the key: processes cannot tell
    whether theirs give the same one.
    """
    target, key = plan.target, plan.key
    if callable(key):
        return None
    secret = key.reveal_all()[0] if isinstance(key, Secret) else key or ""
    parts = (target.provider, origin(target.base_url), target.model, secret)
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16, person=b"anycompletion").hexdigest()
