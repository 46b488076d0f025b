"""A Redis server for tests; `requires_redis` skips them where there is no redis-server."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

requires_redis = [
    pytest.mark.redis,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server: apt-get install redis-server"),
]
"""Marks of modules that start a server."""


class RedisServer:
    """A server of its own, without persistence."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._folder = folder
        self.start()

    @property
    def url(self) -> str:
        """Its URL, with a database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts the process and waits until it accepts connections."""
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self._folder}
        command = ["redis-server", *(str(word) for name, value in options.items() for word in (f"--{name}", value))]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("redis-server did not start")

    def stop(self) -> None:
        """Kills the process."""
        self.process.kill()
        self.process.wait()

    def flush(self) -> None:
        """Removes all keys."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(100) == b"+OK\r\n"
