"""Workers of engines that distribute work over processes: lists of requests in, lists of results out."""

import asyncio
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from anycompletion import (
    PROVIDERS,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    Provider,
    Result,
)
from anycompletion.testing import SimulatorServer
from anycompletion.workers import ChatWorker, complete_many
from support.pages import all_snippets

LIBRARY = Path(__file__).parents[2] / "lib"


class ThreadedSimulator:
    """A simulator in a thread that records the maximum of requests in flight."""

    def __init__(self, *, latency: float = 0.3) -> None:
        self._latency = latency
        self._stop, self._ready = Event(), Event()
        self.max_in_flight = 0
        self.requests = 0
        self.environment: dict[str, str] = {}
        self.options: dict[str, dict[str, str]] = {}

    def serve(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with SimulatorServer(latency=self._latency) as simulator:
            row = PROVIDERS["openai"]
            url, key = simulator.base_urls["openai"], simulator.api_keys["openai"]
            self.environment = {row.base_url_env[0]: url, row.key_env[0]: key}
            self.options = {"base_urls": {"openai": url}, "api_keys": {"openai": key}}
            self._ready.set()
            while not self._stop.is_set():
                self.max_in_flight = max(
                    self.max_in_flight, sum(not request.finished for request in simulator.requests)
                )
                await asyncio.sleep(0.005)
            self.requests = len(simulator.requests)

    @contextmanager
    def open(self) -> Iterator["ThreadedSimulator"]:
        thread = Thread(target=self.serve)
        thread.start()
        try:
            assert self._ready.wait(30)
            yield self
        finally:
            self._stop.set()
            thread.join()


def rows(count: int, first: int = 0) -> list[tuple[str, dict[str, str]]]:
    return [
        (f"row-{n}", {"model": "openai/gpt-4o-mini", "messages": f"number {n}"}) for n in range(first, first + count)
    ]


def test_complete_many_returns_the_results_in_the_order_of_the_requests() -> None:
    """A worker without an event loop could not make calls, or would mix up its rows."""
    with ThreadedSimulator(latency=0).open() as server:
        found = complete_many([*rows(20), {"model": "openai/gpt-4o-mini"}], concurrency=5, **server.options)
    assert [result.custom_id for result in found] == [*(f"row-{n}" for n in range(20)), None]
    assert [result.ok for result in found] == [True] * 20 + [False]
    assert all(f"number {n}" in result.unwrap().text for n, result in enumerate(found[:20]))


async def test_complete_many_in_an_event_loop_names_the_alternative() -> None:
    """A web service would be blocked until all chats are complete, or get an error without an explanation."""
    with pytest.raises(ClientClosedError, match=r"client\.batch"):
        complete_many(rows(1))


async def test_a_worker_serves_several_calls_and_closes() -> None:
    """An actor would create a client for each batch, or leave connections open."""
    async with SimulatorServer() as simulator:
        worker = ChatWorker(base_urls=simulator.base_urls, api_keys=simulator.api_keys)
        async with worker:
            lists = await asyncio.gather(*[worker(rows(8, first)) for first in (0, 8, 16)])
        assert [result.custom_id for found in lists for result in found] == [f"row-{n}" for n in range(24)]
        assert all(result.ok for found in lists for result in found)
        assert len(await worker(rows(1))) == 1  # with a new client
        await worker.aclose()


async def test_a_worker_pickles_before_and_after_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine could not send a worker to its processes."""
    async with SimulatorServer() as simulator:
        monkeypatch.setenv("OPENAI_API_KEY", simulator.api_keys["openai"])
        worker = ChatWorker(concurrency=3, base_urls={"openai": simulator.base_urls["openai"]}, max_retries=0)
        assert (await worker(rows(1)))[0].ok
        other: ChatWorker = pickle.loads(pickle.dumps(worker))  # noqa: S301 (our own bytes)
        assert (await other(rows(1)))[0].ok
        await worker.aclose()
        await other.aclose()


SECRETS: dict[str, dict[str, Any]] = {
    "a key": {"api_keys": {"openai": "sk-of-the-driver"}},
    "a password of a proxy": {"proxy": "http://me:hunter2@127.0.0.1"},
    "a header of a row": {
        "providers": [Provider("acme", "https://acme.example", headers={"Authorization": "Bearer sk-of-the-driver"})]
    },
}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_worker_with_a_secret_does_not_pickle(secret: str) -> None:
    """A key would be written into the queue or the log of an engine."""
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(ChatWorker(**SECRETS[secret]))


def test_results_pickle_with_their_errors() -> None:
    """The results of a worker could not be sent back from its process."""
    with ThreadedSimulator(latency=0).open() as server:
        (good,) = complete_many(rows(1), **server.options)
        (bad,) = complete_many(rows(1), base_urls=server.options["base_urls"], api_keys={"openai": "wrong"})
    assert pickle.loads(pickle.dumps(good)).completion == good.completion  # noqa: S301 (our own bytes)
    again: Result = pickle.loads(pickle.dumps(bad))  # noqa: S301 (our own bytes)
    assert isinstance(again.error, AuthenticationError)
    assert isinstance(pickle.loads(pickle.dumps(Result(error=BadRequestError("no")))).error, BadRequestError)  # noqa: S301 (our own bytes)


# --- recipes -------------------------------------------------------------------------------------------------------


def test_a_pool_of_processes_keeps_many_requests_in_flight(tmp_path: Path) -> None:
    """The recipe for process pools would send one request at a time, or mix up the answers."""
    program = tmp_path / "pool.py"
    program.write_text(recipe("ProcessPoolExecutor("), "utf-8")
    with ThreadedSimulator(latency=1).open() as server:
        done = run([str(program)], server)
    assert (done.returncode, done.stderr) == (0, "")
    answers = done.stdout.splitlines()
    assert len(answers) == 128
    assert all(f"What is {n} + {n}?" in answer for n, answer in enumerate(answers))
    assert server.max_in_flight >= 60


def run(arguments: list[str], server: ThreadedSimulator) -> subprocess.CompletedProcess[str]:
    """Runs a recipe in a process of its own, against the simulator."""
    environment = {**os.environ, **server.environment, "PYTHONPATH": str(LIBRARY)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def recipe(text: str) -> str:
    """The code block of the pages that contains `text`."""
    (found,) = (one.code for one in all_snippets() if text in one.code)
    return found


RAY = """
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False,
         runtime_env={"env_vars": %r})
import ray.data
ray.data.DataContext.get_current().enable_progress_bars = False
%s
found = sorted(answers.take_all(), key=lambda row: row["id"])
assert [row["id"] for row in found] == list(range(256)), found
assert all(str(row["id"]) in row["answer"] and row["error"] is None for row in found), found
ray.shutdown()
"""


@pytest.mark.ray
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'ray[data]'")
def test_ray_data_keeps_many_requests_in_flight_with_one_actor() -> None:
    """The recipe for Ray Data would send one request at a time, as Ray's own HTTP processor does, or lose rows."""
    with ThreadedSimulator(latency=1).open() as server:
        rows = recipe("import ray.data").removesuffix("print(answers.take(2))\n")  # which would run it twice
        program = RAY % ({**server.environment, "PYTHONPATH": str(LIBRARY)}, rows)
        done = run(["-c", program], server)
    assert done.returncode == 0, done.stderr[-4000:]
    assert server.requests == 256
    assert server.max_in_flight >= 60
