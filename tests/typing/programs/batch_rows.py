"""Answers the rows of a table: many requests at once, resumable, with a progress line and the failures set apart."""

import asyncio
import csv
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from anycompletion import AsyncCompletion, ChatCompletion, ChatRequest, CompletionError, Result, UserMessage
from anycompletion.batch import BatchItem, BatchProgress, read_results

MODEL = "openai/gpt-4o-mini"


def requests(table: Path) -> Iterator[BatchItem]:
    """A request for each row, with its id."""
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            question = row["question"]
            yield row["id"], {"model": MODEL, "messages": question, "max_tokens": len(question), "timeout": 20}


async def from_database(questions: list[str]) -> AsyncIterator[ChatRequest]:
    for number, question in enumerate(questions):
        await asyncio.sleep(0)
        yield ChatRequest(MODEL, [UserMessage(question)], temperature=0, custom_id=f"q{number}")


def show(progress: BatchProgress) -> None:
    if progress.total is not None and progress.eta is not None:
        print(f"progress: {progress.finished} of {progress.total}, {progress.eta:.0f} s left")


async def run(client: AsyncCompletion, table: Path, journal: Path) -> tuple[dict[str, str], dict[str, CompletionError]]:
    texts: dict[str, str] = {}
    failed: dict[str, CompletionError] = {}
    async with client.batch(requests(table), concurrency=8, journal=journal, on_progress=show) as results:
        async for result in results:
            name = result.custom_id or ""
            match result:
                case Result(completion=ChatCompletion() as reply):
                    texts[name] = reply.text
                case Result(error=CompletionError() as error):
                    failed[name] = error
                case _:
                    raise AssertionError(result)
    return texts, failed


async def gathered(client: AsyncCompletion, questions: list[str]) -> list[str]:
    """A few at once need no batch."""
    results = await asyncio.gather(*(client.attempt(MODEL, question) for question in questions))
    return [
        result.completion.text if result.completion is not None else f"failed: {result.error}" for result in results
    ]


def make_table() -> Path:
    table = Path("questions.csv")
    table.write_text("id,question\n1,What is salt?\n2,What is pepper?\n3,\n")
    return table


async def main() -> None:
    table, journal = make_table(), Path("answers.jsonl")
    lines: list[dict[str, Any]] = []
    async with AsyncCompletion() as client:
        texts, failed = await run(client, table, journal)
        print("answered:", sorted(texts), "failed:", {name: type(error).__name__ for name, error in failed.items()})
        ordered = client.batch(from_database(["What is tea?", "What is milk?"]), ordered=True)
        print("ordered:", [result.custom_id async for result in ordered])
        print("gathered:", len(await gathered(client, ["What is rye?", "What is oat?"])))
    for result in read_results(journal):
        lines.append({"id": result.custom_id, "ok": result.ok})
    print("journal:", len(lines))


if __name__ == "__main__":
    asyncio.run(main())
