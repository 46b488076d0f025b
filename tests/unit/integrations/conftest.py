"""Fixtures of the tests that use a Redis server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.redis_server import RedisServer


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A running server."""
    started = RedisServer(tmp_path_factory.mktemp("redis"))
    yield started
    started.stop()


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """The server, empty."""
    redis_server.flush()
    return redis_server
