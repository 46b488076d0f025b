"""Work that is spread over processes: lists of requests in, lists of results out, whatever engine carries them."""

import asyncio
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread

import pytest

from anycompletion import (
    PROVIDERS,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    Result,
)
from anycompletion.testing import SimulatorServer
from anycompletion.workers import ChatWorker, complete_many
from support.readme import README

LIBRARY = Path(__file__).parents[2] / "lib"


class Crowd:
    """A simulator in a thread, and how many requests it had at the same time."""

    def __init__(self, *, latency: float = 0.3) -> None:
        self._latency = latency
        self._over, self._ready = Event(), Event()
        self.most = 0
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
            while not self._over.is_set():
                self.most = max(self.most, sum(not request.finished for request in simulator.requests))
                await asyncio.sleep(0.005)
            self.requests = len(simulator.requests)

    @contextmanager
    def open(self) -> Iterator["Crowd"]:
        thread = Thread(target=self.serve)
        thread.start()
        try:
            assert self._ready.wait(30)
            yield self
        finally:
            self._over.set()
            thread.join()


def rows(count: int, first: int = 0) -> list[tuple[str, dict[str, str]]]:
    return [
        (f"row-{n}", {"model": "openai/gpt-4o-mini", "messages": f"number {n}"}) for n in range(first, first + count)
    ]


def test_complete_many_gives_a_result_for_each_request_in_their_order() -> None:
    """A worker without an event loop could not call at all, or would mix up its rows."""
    with Crowd(latency=0).open() as crowd:
        found = complete_many([*rows(20), {"model": "openai/gpt-4o-mini"}], concurrency=5, **crowd.options)
    assert [result.custom_id for result in found] == [*(f"row-{n}" for n in range(20)), None]
    assert [result.ok for result in found] == [True] * 20 + [False]
    assert all(f"number {n}" in result.unwrap().text for n, result in enumerate(found[:20]))


async def test_complete_many_says_what_to_use_where_a_loop_is_running() -> None:
    """A web service would stop for as long as all its chats take, or see an error that explains nothing."""
    with pytest.raises(ClientClosedError, match=r"client\.batch"):
        complete_many(rows(1))


async def test_a_worker_serves_several_calls_and_closes() -> None:
    """An actor would open a client for each batch, or leave its connections behind."""
    async with SimulatorServer() as simulator:
        worker = ChatWorker(base_urls=simulator.base_urls, api_keys=simulator.api_keys)
        async with worker:
            lists = await asyncio.gather(*[worker(rows(8, first)) for first in (0, 8, 16)])
        assert [result.custom_id for found in lists for result in found] == [f"row-{n}" for n in range(24)]
        assert all(result.ok for found in lists for result in found)
        assert len(await worker(rows(1))) == 1  # with a client of its own
        await worker.aclose()


async def test_a_worker_pickles_also_after_it_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine could not send a worker to its processes."""
    async with SimulatorServer() as simulator:
        monkeypatch.setenv("OPENAI_API_KEY", simulator.api_keys["openai"])
        worker = ChatWorker(concurrency=3, base_urls={"openai": simulator.base_urls["openai"]}, max_retries=0)
        assert (await worker(rows(1)))[0].ok
        other: ChatWorker = pickle.loads(pickle.dumps(worker))  # noqa: S301 (our own bytes)
        assert (await other(rows(1)))[0].ok
        await worker.aclose()
        await other.aclose()


def test_results_pickle_with_their_errors() -> None:
    """What a worker found could not come back from its process."""
    with Crowd(latency=0).open() as crowd:
        (good,) = complete_many(rows(1), **crowd.options)
        (bad,) = complete_many(rows(1), base_urls=crowd.options["base_urls"], api_keys={"openai": "wrong"})
    assert pickle.loads(pickle.dumps(good)).completion == good.completion  # noqa: S301 (our own bytes)
    again: Result = pickle.loads(pickle.dumps(bad))  # noqa: S301 (our own bytes)
    assert isinstance(again.error, AuthenticationError)
    assert isinstance(pickle.loads(pickle.dumps(Result(error=BadRequestError("no")))).error, BadRequestError)  # noqa: S301 (our own bytes)


# --- recipes -------------------------------------------------------------------------------------------------------


def test_a_pool_of_processes_keeps_many_requests_in_flight(tmp_path: Path) -> None:
    """The recipe for process pools would ask one question at a time, or mix up the answers."""
    program = tmp_path / "pool.py"
    program.write_text(recipe("from concurrent"), "utf-8")
    with Crowd(latency=1).open() as crowd:
        done = run([str(program)], crowd)
    assert (done.returncode, done.stderr) == (0, "")
    answers = done.stdout.splitlines()
    assert len(answers) == 128
    assert all(f"What is {n} + {n}?" in answer for n, answer in enumerate(answers))
    assert crowd.most >= 60


def run(arguments: list[str], crowd: Crowd) -> subprocess.CompletedProcess[str]:
    """Runs a recipe as its user would, but against the simulator."""
    environment = {**os.environ, **crowd.environment, "PYTHONPATH": str(LIBRARY)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def recipe(beginning: str) -> str:
    """A block of README.md that is not run as a snippet, by how it begins."""
    blocks = re.findall(r"^```py\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if block.startswith(beginning))


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
    """The recipe for Ray Data would ask one question at a time, as Ray's own HTTP processor does, or lose rows."""
    with Crowd(latency=1).open() as crowd:
        program = RAY % ({**crowd.environment, "PYTHONPATH": str(LIBRARY)}, recipe("import numpy"))
        done = run(["-c", program], crowd)
    assert done.returncode == 0, done.stderr[-4000:]
    assert crowd.requests == 256
    assert crowd.most >= 60
