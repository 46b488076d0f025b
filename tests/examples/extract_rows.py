"""Data out of text: each message in a CSV file becomes a row of a table, by a batch that can be resumed.

OPENAI_API_KEY=… python extract_rows.py messages.csv

messages.csv has the columns `id` and `text`; the table is written to messages.table.csv. Every reply is stored in
messages.jsonl as it arrives: after Ctrl-C or a crash, run the same command again, and only what is missing is sent.

Without a key: `anycompletion simulate` prints the variables that direct it to a simulator.
"""

import asyncio
import csv
import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from anycompletion import AsyncCompletion, SystemMessage, UserMessage
from anycompletion.batch import BatchItem, BatchProgress, read_results

MODEL = os.environ.get("CHAT_MODEL", "openai/gpt-4o-mini")
TASK = SystemMessage("Sort the customer's message to our shop. Take every value from the message itself.")


@dataclasses.dataclass
class Inquiry:
    """What a customer's message is about."""

    kind: Literal["question", "complaint", "return", "other"]
    product: Annotated[str, "The product's name, as our shop would write it."]
    urgent: bool
    order: Annotated[int | None, "The number of the order, where the message has it."] = None


def requests(source: Path) -> Iterator[BatchItem]:
    """One request for each row, with the row's id."""
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["id"], {"model": MODEL, "messages": [TASK, UserMessage(row["text"])], "max_tokens": 200}


def show(now: BatchProgress) -> None:
    """Writes the progress over the line before."""
    print(f"\r{now.done} done, {now.failed} failed, {now.skipped} from earlier runs", end="", file=sys.stderr)


async def extract(source: Path, journal: Path) -> None:
    """Sends what is not in the journal; a reply that is no `Inquiry` is asked for once more."""
    async with (
        AsyncCompletion() as client,
        client.batch(requests(source), into=Inquiry, max_reasks=1, journal=journal, on_progress=show) as run,
    ):
        async for result in run:
            if result.error is not None:
                print(f"\n{result.custom_id}: {result.error}", file=sys.stderr)


def write_table(journal: Path, table: Path) -> int:
    """Writes all inquiries of the journal, those of earlier runs as well; returns their number."""
    count = 0
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *(field.name for field in dataclasses.fields(Inquiry))])
        for result in read_results(journal, into=Inquiry):
            if result.parsed is not None:
                writer.writerow([result.custom_id, *dataclasses.astuple(result.parsed)])
                count += 1
    return count


def main(source: Path) -> None:
    """Extracts the inquiries of a file and writes their table."""
    journal, table = source.with_suffix(".jsonl"), source.with_suffix(".table.csv")
    asyncio.run(extract(source, journal))
    print(f"{write_table(journal, table)} rows in {table}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
