"""A chat service with FastAPI: tokens appear as they arrive, the stop button ends the request, a tool asks first.

    pip install 'anycompletion[web]' fastapi uvicorn
    OPENAI_API_KEY=… python fastapi_chat.py        # then open http://127.0.0.1:8000

CHAT_MODEL names another model, such as anthropic/claude-haiku-4-5. Before you deploy this, add authentication: every
visitor spends your key.
"""

import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from anycompletion import AsyncCompletion, Messages
from anycompletion.tools import PendingCall, RunFinished, ToolEvent, tool
from anycompletion.web import cancel_on_disconnect, starlette_errors, starlette_lifespan, starlette_sse

MODEL = os.environ.get("CHAT_MODEL", "openai/gpt-4o-mini")
SYSTEM = {"role": "system", "content": "You are friendly, and brief. You work at a restaurant."}


@tool(needs_approval=True)
async def book_table(people: int, time: str) -> str:
    """Books a table for the user."""
    return f"booked: a table for {people}, {time}"


TOOLS = [book_table]


class Turn(BaseModel):
    """A message of the user or the assistant; the browser cannot send system messages."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(max_length=10_000)]


class Chat(BaseModel):
    """A conversation so far."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=50)]

    def with_system_message(self) -> list[dict[str, Any]]:
        """The conversation after the service's system message."""
        return [SYSTEM, *(turn.model_dump() for turn in self.messages)]


class Decision(BaseModel):
    """What the user decided about the calls of a run that waits: the id of each, and whether it is approved."""

    run: str
    approved: Annotated[dict[str, bool], Field(min_length=1)]


runs: dict[str, Messages] = {}
"""Id of a run that is not finished → its transcript; with several processes, a table of a database.

It is written whenever something happens, so that neither an error nor a disconnect loses what a tool has done. Once you
have authentication, keep the user as well, who alone may decide.
"""

running: set[str] = set()
"""Ids of the runs that go on now, so that no call runs twice; with several processes, a lock of the row."""

# One client for all requests, in app.state.client; errors of handlers become responses.
app = FastAPI(lifespan=starlette_lifespan(), exception_handlers=starlette_errors())


@app.get("/")
async def page() -> Response:
    """The page, the same as in aiohttp_chat.py."""
    return FileResponse(Path(__file__).with_name("chat.html"))


@app.post("/chat")
async def chat(request: Request, body: Chat) -> Response:
    """The next turn, token by token; when the browser disconnects, the provider stops as well."""
    return answer(request, secrets.token_urlsafe(), body.with_system_message(), {})


@app.post("/decide")
async def decide(request: Request, body: Decision) -> Response:
    """Goes on with a run that waited or failed; the calls and their arguments are the service's, not the browser's."""
    if body.run in running:
        raise HTTPException(409, "this is being answered")
    if body.run not in runs:
        raise HTTPException(404, "this was decided already")
    return answer(request, body.run, runs[body.run], body.approved)


def answer(request: Request, run_id: str, messages: Messages, approved: dict[str, bool]) -> Response:
    """The events of a run, which is kept until it is finished. It ends where it lacks an approval."""
    client: AsyncCompletion = request.app.state.client

    def keep(event: ToolEvent) -> None:
        runs.pop(run_id, None)
        if not (isinstance(event, RunFinished) and event.outcome.status == "finished"):
            runs[run_id] = list(run.messages)
            if len(runs) > 1000:
                del runs[next(iter(runs))]

    def approve(call: PendingCall) -> bool | None:
        return approved.get(call.id)

    run = client.run_tools(MODEL, messages, TOOLS, approve=approve, on_event=keep, max_completion_tokens=1000)
    response = starlette_sse(run, tools=True, headers={"x-run": run_id})
    running.add(run_id)
    response.background = BackgroundTask(release, run_id)  # runs after the relay, however that ends
    return response


async def release(run_id: str) -> None:
    """Lets a run go on again."""
    running.discard(run_id)


@app.post("/title")
async def title(request: Request, body: Chat) -> dict[str, str]:
    """A title for the conversation, in one piece; cancelled when the browser disconnects."""
    client: AsyncCompletion = request.app.state.client
    messages = [
        *body.with_system_message(),
        {"role": "user", "content": "A title for this chat, of at most five words, please."},
    ]
    reply = await cancel_on_disconnect(request, client.create(MODEL, messages, max_completion_tokens=20))
    return {"title": reply.text}


if __name__ == "__main__":
    uvicorn.run(app)
