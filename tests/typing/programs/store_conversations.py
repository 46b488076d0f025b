"""Keeps conversations in a database: messages and replies as JSON, read again later, and moved between providers."""

import asyncio
import json
import pickle
import sqlite3
from typing import Any

from pydantic import BaseModel

from anycompletion import AssistantMessage, AsyncCompletion, ChatCompletion, ChatCompletionMessage, Usage


class Entry(BaseModel):
    """A row of a log, with records as fields."""

    user: str
    reply: ChatCompletion
    message: ChatCompletionMessage
    usage: Usage | None = None


class Store:
    """Conversations by name."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:")
        self._db.execute("create table messages (name text, data text)")

    def add(self, name: str, *messages: dict[str, Any]) -> None:
        rows = [(name, json.dumps(message)) for message in messages]
        self._db.executemany("insert into messages values (?, ?)", rows)

    def messages(self, name: str) -> list[dict[str, Any]]:
        rows: list[tuple[str]] = self._db.execute("select data from messages where name = ?", (name,)).fetchall()
        return [json.loads(data) for (data,) in rows]

    def close(self) -> None:
        self._db.close()


async def chat(client: AsyncCompletion, store: Store, name: str, model: str, text: str) -> ChatCompletion:
    store.add(name, {"role": "user", "content": text})
    reply = await client.create(model, store.messages(name))
    store.add(name, reply.message.to_dict())
    return reply


async def main() -> None:
    store = Store()
    async with AsyncCompletion() as client:
        first = await chat(client, store, "a", "openai/gpt-4o-mini", "Name a river.")
        await chat(client, store, "a", "anthropic/claude-haiku-4-5", "Where is it?")
        print("roles:", [message["role"] for message in store.messages("a")])

    as_dict = first.model_dump(exclude_none=True)
    print("dict:", as_dict["choices"][0]["message"]["content"] == first.choices[0].message.content)
    print("JSON:", ChatCompletion.from_dict(json.loads(first.model_dump_json())) == first)
    print("pickle:", pickle.loads(pickle.dumps(first)).info.provider)  # noqa: S301
    entry = Entry(user="ann", reply=first, message=first.message, usage=first.usage)
    print("entry:", Entry.model_validate_json(entry.model_dump_json()) == entry)
    earlier = AssistantMessage.from_dict({"role": "assistant", "content": [{"type": "text", "text": "The Nile."}]})
    print("parts:", earlier.to_dict()["content"])
    store.close()


if __name__ == "__main__":
    asyncio.run(main())
