"""What a cache never stores and never touches: faults of providers, full disks, the client's limits, its timeouts."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    CompletionError,
    CompletionStream,
    RateLimit,
    Timeout,
)
from anycompletion.caching import MemoryStore, cached
from anycompletion.testing import FAULTS, FakeProvider, SimulatorServer

MODEL = "openai/gpt-4o"
BROKEN_STREAMS = [f"{kind}-after-{count}-events" for kind in ("cut", "close", "reset", "error") for count in (0, 1, 3)]
SLOW = {"hang", "slow-headers", "endless-body", "huge-length", "gzip-bomb"}
"""Faults that end with the call's timeout."""


@pytest.mark.parametrize("stream", [False, True])
async def test_no_fault_of_a_provider_leaves_an_entry(stream: bool) -> None:
    """An error, or the part of a reply that arrived before it, would be given for as long as it is stored."""
    store = MemoryStore()
    raised = list[str]()
    async with SimulatorServer() as server:
        options: dict[str, Any] = {"base_urls": server.base_urls, "api_keys": server.api_keys, "max_retries": 0}
        async with AsyncCompletion(middleware=[cached(store)], **options) as client:
            for name in (*FAULTS, *BROKEN_STREAMS):
                if name.endswith("-prediction"):
                    continue
                server.fault = name
                timeout = Timeout(total=0.2 if name in SLOW else 20.0)
                try:
                    reply = await client.create(MODEL, name, stream=stream, timeout=timeout)
                    if isinstance(reply, CompletionStream):
                        reply = await reply.get_final_completion()
                except CompletionError:
                    raised.append(name)
                    assert store.stats.entries == 0, name
                else:
                    is_finished = reply.choices[0].finish_reason is not None
                    assert store.stats.entries == is_finished, name
                    await store.clear()
    assert len(raised) > 25


async def test_a_reply_that_is_not_finished_is_not_stored() -> None:
    """A reply whose end is not known would be given as if it were all of it."""
    store = MemoryStore()
    reply = ChatCompletion("id-1", [Choice(0, ChatCompletionMessage(content="a"), None)], "gpt-4o", 1)
    fake = FakeProvider(lambda request: reply)
    async with AsyncCompletion(providers=[fake], middleware=[cached(store)]) as client:
        for _ in range(2):
            assert (await client.create(MODEL, "Hi")).text == "a"
    assert (len(fake.requests), store.stats.entries) == (2, 0)


async def test_stored_replies_take_nothing_of_the_clients_limits() -> None:
    """Stored replies would wait for a quota that they do not use, and use up that of the others."""
    limits = {"openai": RateLimit(requests_per_minute=60, concurrency=1)}
    fake = FakeProvider(lambda request: "reply")
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())], limits=limits) as client:
        await client.create(MODEL, "Hi")
        async with asyncio.timeout(20):  # a minute's quota is 60
            replies = await asyncio.gather(*(client.create(MODEL, "Hi") for _ in range(300)))
        assert all(reply.info.cached for reply in replies)
        assert len(fake.requests) == 1
        assert (client.stats().providers["openai"].queued, client.stats().providers["openai"].in_flight) == ({}, 0)


async def test_recorded_pauses_are_no_idle_connection() -> None:
    """A stored stream that is replayed with its pauses would end with a timeout that its original has not met."""
    fake = FakeProvider(lambda request: "a b c", chunk_delay=0.05)
    middleware = [cached(MemoryStore(), replay="recorded")]
    async with AsyncCompletion(providers=[fake], middleware=middleware) as client:
        await client.stream(MODEL, "Hi").get_final_completion()
        async with client.stream(MODEL, "Hi", timeout=Timeout(idle=0.01, first_chunk=0.01)) as stream:
            assert (await stream.get_final_completion()).text == "a b c"
        assert stream.info.cached


async def test_a_stored_stream_is_relayed_as_its_original() -> None:
    """A browser would get other events, or none, for a reply that is stored."""
    fake = FakeProvider(lambda request: "a b c")
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())]) as client:
        relayed: list[bytes] = []
        for _ in range(2):
            async with client.stream(MODEL, "Hi") as stream:
                relayed.append(b"".join([event async for event in stream.sse()]))
    assert relayed[0] == relayed[1]
    assert relayed[0].endswith(b"data: [DONE]\n\n")
    assert len(fake.requests) == 1


FULL_DISK = """
import asyncio, logging, resource, sys
from anycompletion import AsyncCompletion
from anycompletion.caching import SQLiteStore, cached
from anycompletion.testing import FakeProvider

warnings = []
logging.getLogger("anycompletion").addHandler(logging.Handler())
logging.getLogger("anycompletion").handlers[-1].emit = warnings.append

async def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    fake = FakeProvider(lambda request: "x" * 50_000)
    async with SQLiteStore(sys.argv[1]) as store:
        async with AsyncCompletion(providers=[fake], middleware=[cached(store)]) as client:
            for number in range(20):
                assert len((await client.create("openai/m", str(number))).text) == 50_000
                await asyncio.sleep(0.01)
            stored = [(await client.create("openai/m", str(number))).info.cached for number in range(20)]
            assert 0 < sum(stored) < 20, stored
            assert len(warnings) == 1, warnings
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, resource.RLIM_INFINITY))
            await client.create("openai/m", "later")
    async with SQLiteStore(sys.argv[1]) as store:
        async with AsyncCompletion(providers=[fake], middleware=[cached(store)]) as client:
            assert (await client.create("openai/m", "later")).info.cached
            assert len((await client.create("openai/m", "0")).text) == 50_000

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
async def test_a_full_disk_is_as_if_nothing_were_stored(tmp_path: Path) -> None:
    """A full disk would fail calls, damage the file, or switch the cache off for good."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path / "replies.sqlite")),
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, stderr.decode()) == (0, "")
    names = await asyncio.to_thread(os.listdir, tmp_path)
    assert [name for name in names if "corrupt" in name] == []
