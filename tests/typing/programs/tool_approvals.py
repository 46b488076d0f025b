"""A dangerous tool: asked for on a terminal, or stored, answered elsewhere and resumed another day."""

import asyncio
import io
import json
import sys
from pathlib import Path

from anycompletion import AsyncCompletion
from anycompletion.tools import PendingCall, tool

deleted: list[str] = []


@tool(needs_approval=True)
async def delete_file(path: str) -> str:
    """Delete a file."""
    deleted.append(path)
    return "deleted"


async def on_terminal(call: PendingCall) -> bool | str:
    answer = await asyncio.to_thread(input, f"{call.name}({call.arguments})? ")
    return answer == "y" or f"the user says: {answer}"


async def interactive(client: AsyncCompletion) -> str:
    run = client.run_tools("openai/gpt-4o", "Tidy up /tmp.", [delete_file], approve=on_terminal)
    return (await run).text


async def begin(client: AsyncCompletion, store: Path) -> list[PendingCall]:
    outcome = await client.run_tools("openai/gpt-4o", "Tidy up /tmp.", [delete_file])
    text = json.dumps([message.to_dict() for message in outcome.messages])
    await asyncio.to_thread(store.write_text, text)
    return outcome.pending


async def resume(client: AsyncCompletion, store: Path, decisions: dict[str, bool]) -> str:
    messages = json.loads(await asyncio.to_thread(store.read_text))
    run = client.run_tools("openai/gpt-4o", messages, [delete_file], approve=lambda call: decisions.get(call.id))
    return (await run).text


async def main() -> None:
    sys.stdin = io.StringIO("y\nnot today\n")
    store = Path("conversation.json")
    async with AsyncCompletion() as client:
        print("\nyes:", await interactive(client), len(deleted))
        print("\nno:", await interactive(client), len(deleted))
        pending = await begin(client, store)
        print("pending:", [call.name for call in pending], len(deleted))
        print("resumed:", await resume(client, store, {call.id: True for call in pending}), len(deleted))


if __name__ == "__main__":
    asyncio.run(main())
