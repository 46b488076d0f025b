"""Answers many questions in several processes, as engines for large data do it."""

import asyncio
import functools
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from anycompletion import ChatRequest, RateLimit, Result
from anycompletion.batch import BatchItem
from anycompletion.workers import ChatWorker, complete_many

answer_all = functools.partial(complete_many, concurrency=4, timeout=30, max_retries=1)


def requests(first: int, number: int) -> list[BatchItem]:
    return [ChatRequest("openai/gpt-4o-mini", f"What is {i}?", custom_id=str(i)) for i in range(first, first + number)]


def in_processes(parts: Sequence[list[BatchItem]]) -> list[Result]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return [result for results in pool.map(answer_all, parts) for result in results]


async def in_an_actor(parts: Sequence[list[BatchItem]]) -> list[str | None]:
    """With an object that stays, and keeps its connections."""
    ids: list[str | None] = []
    async with ChatWorker(concurrency=4, limits={"openai": RateLimit(concurrency=2)}) as worker:
        for part in parts:
            ids += [result.custom_id for result in await worker(part) if result.ok]
    return ids


def main() -> None:
    parts = [requests(0, 3), requests(3, 3)]
    print("processes:", [result.custom_id for result in in_processes(parts) if result.ok])
    print("actor:", asyncio.run(in_an_actor(parts)))


if __name__ == "__main__":
    main()
