"""Servers that accept a limited number of requests and refuse the rest, for the figures about rate limits."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

from . import server

REFUSED = b'{"error": {"message": "Too many.", "type": "rate_limit_error", "param": null, "code": null}}'


class BucketLimit:
    """Limit of a token bucket; refused requests are asked to wait one second."""

    def __init__(self, rate: float, burst: float | None = None) -> None:
        self.rate = rate
        self._burst = self._level = rate if burst is None else burst
        self._at = time.monotonic()

    def wait(self) -> float:
        """Seconds to wait; 0 takes one."""
        now = time.monotonic()
        self._level, self._at = min(self._burst, self._level + (now - self._at) * self.rate), now
        if self._level < 1:
            return 1.0
        self._level -= 1
        return 0.0


class WindowLimit:
    """Limit per second of the clock; refused requests are asked to wait for the next second."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._window = self._number = 0

    def wait(self) -> float:
        """Seconds to wait; 0 takes one."""
        window, into = divmod(time.monotonic(), 1.0)
        if window != self._window:
            self._window, self._number = int(window), 0
        self._number += 1
        return 0.0 if self._number <= self.rate else 1.001 - into


class Provider:
    """One provider and its record of requests."""

    def __init__(self, limit: BucketLimit | WindowLimit | None, at_once: int | None, latency: float) -> None:
        self.limit, self.at_once, self._latency = limit, at_once, latency
        self.in_flight = 0
        self.seen: list[float] = []
        self.count: Counter[str] = Counter()

    def answer(self, connection: server.Connection, body: bytes) -> None:
        """Answers one request, now or later."""
        self.seen.append(time.monotonic())
        if self.at_once is not None and self.in_flight >= self.at_once:
            self._refuse(connection, 529, "")
        elif self.limit is not None and (wait := self.limit.wait()) > 0:
            self._refuse(connection, 429, f"Retry-After-Ms: {wait * 1000:.0f}\r\n")
        else:
            self.in_flight += 1
            data = server.whole(server.completion(server.question(body)))
            latency = self._latency * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)
            asyncio.get_running_loop().call_later(latency, self._say, connection, data)

    def _refuse(self, connection: server.Connection, status: int, more: str) -> None:
        self.count["refused"] += 1
        connection.write(server.whole(REFUSED, status, more))

    def _say(self, connection: server.Connection, data: bytes) -> None:
        self.in_flight -= 1
        self.count["good"] += 1
        connection.write(data)

    def most_in_a_second(self) -> int:
        """Requests in the busiest second, the first one apart."""
        late = [at for at in self.seen if at >= self.seen[0] + 1]
        most = first = 0
        for last, at in enumerate(late):
            while late[first] <= at - 1:
                first += 1
            most = max(most, last - first + 1)
        return most


class Service(server.Service):
    """Providers by the first step of the path: ``kind-number-milliseconds-name``, such as ``bucket-50-20-tasks``."""

    def __init__(self) -> None:
        super().__init__()
        self._providers: dict[str, Provider] = {}

    def answer(self, connection: server.Connection, target: str, body: bytes) -> None:
        """Answers one request."""
        self._provider(target.split("/")[1]).answer(connection, body)

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            kind, number, latency, _ = name.split("-", 3)
            limit = {"bucket": BucketLimit, "window": WindowLimit}.get(kind)
            if kind == "tight":
                made: BucketLimit | WindowLimit | None = BucketLimit(float(number), float(number) * 3.3)
            else:
                made = None if limit is None else limit(float(number))
            at_once = int(number) if kind == "atonce" else None
            self._providers[name] = Provider(made, at_once, int(latency) / 1000)
        return self._providers[name]

    def control(self, what: str) -> object:
        """``seen/name``: what it saw. ``set/name/number``: it takes as much from now on."""
        do, name, *more = what.split("/")
        provider = self._provider(name)
        if do == "set":
            if provider.limit is not None:
                provider.limit.rate = float(more[0])
            else:
                provider.at_once = int(more[0])
        most = provider.most_in_a_second() if provider.seen else 0
        first, last = (provider.seen[0], provider.seen[-1]) if provider.seen else (0.0, 0.0)
        return {"requests": len(provider.seen), "most": most, "first": first, "last": last, **provider.count}
