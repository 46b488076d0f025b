"""A batch of typed replies: extraction from many documents."""

import asyncio
from collections.abc import Iterable
from typing import assert_type

import attrs

from anycompletion import AsyncCompletion
from anycompletion.batch import ParsedBatchRun, read_results
from anycompletion.structured import ParsedResult


@attrs.frozen
class Invoice:
    number: str
    total: float
    currency: str = "EUR"


async def extract(client: AsyncCompletion, documents: Iterable[tuple[str, str]]) -> list[Invoice]:
    requests = ((name, {"model": "openai/gpt-4o-mini", "messages": text}) for name, text in documents)
    found: list[Invoice] = []
    async with client.batch(requests, into=Invoice, max_reasks=1, journal="invoices.jsonl") as run:
        assert_type(run, ParsedBatchRun[Invoice])
        async for result in run:
            match result:
                case ParsedResult(parsed=Invoice() as invoice):
                    found.append(invoice)
                case _:
                    print(result.custom_id, result.error)
    again = [result.unwrap().parsed for result in read_results("invoices.jsonl", into=Invoice)]
    assert_type(again, list[Invoice])
    assert again == found
    return found


async def main() -> None:
    async with AsyncCompletion() as client:
        invoices = await extract(client, [("a", "Pay 3 EUR for invoice A-1."), ("b", "Pay 4 EUR for invoice A-2.")])
        print("invoices:", len(invoices), [type(invoice.total).__name__ for invoice in invoices])
        totals = client.batch([{"model": "openai/gpt-4o-mini", "messages": "1 + 1?"}], into=dict[str, float] | None)
        assert_type(totals, ParsedBatchRun[dict[str, float] | None])
        async for result in totals:
            assert_type(result.parsed, dict[str, float] | None)
            print("totals:", result.ok)


if __name__ == "__main__":
    asyncio.run(main())
