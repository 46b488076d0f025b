"""A chat service with aiohttp.web: tokens appear as they arrive, the stop button ends the request, a tool asks first.

    pip install anycompletion
    OPENAI_API_KEY=… python aiohttp_chat.py        # then open http://127.0.0.1:8080

CHAT_MODEL names another model, such as anthropic/claude-haiku-4-5. Before you deploy this, add authentication: every
visitor spends your key.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from aiohttp import web

from anycompletion import AsyncCompletion, Messages
from anycompletion.tools import PendingCall, RunFinished, ToolEvent, tool
from anycompletion.web import aiohttp_client, aiohttp_errors, aiohttp_sse, cancel_on_disconnect

MODEL = os.environ.get("CHAT_MODEL", "openai/gpt-4o-mini")
SYSTEM = {"role": "system", "content": "You are friendly, and brief. You work at a restaurant."}
CLIENT = web.AppKey("client", AsyncCompletion)

runs: dict[str, Messages] = {}
"""Id of a run that is not finished → its transcript; with several processes, a table of a database.

It is written whenever something happens, so that neither an error nor a disconnect loses what a tool has done. Once you
have authentication, keep the user as well, who alone may decide.
"""

running: set[str] = set()
"""Ids of the runs that go on now, so that no call runs twice; with several processes, a lock of the row."""

routes = web.RouteTableDef()


@tool(needs_approval=True)
async def book_table(people: int, time: str) -> str:
    """Books a table for the user."""
    return f"booked: a table for {people}, {time}"


TOOLS = [book_table]


async def conversation(request: web.Request) -> list[dict[str, Any]]:
    """The conversation so far, after the service's system message, which the browser cannot change."""
    try:
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in (await request.json())["messages"]]
        valid = all(turn["role"] in ("user", "assistant") and isinstance(turn["content"], str) for turn in turns)
    except (json.JSONDecodeError, KeyError, TypeError):
        valid, turns = False, []
    if not valid or not 1 <= len(turns) <= 50:
        raise web.HTTPUnprocessableEntity(text="expected messages of roles user and assistant")
    return [SYSTEM, *turns]


@routes.get("/")
async def page(_: web.Request) -> web.FileResponse:
    """The page, the same as in fastapi_chat.py."""
    return web.FileResponse(Path(__file__).with_name("chat.html"))


@routes.post("/chat")
async def chat(request: web.Request) -> web.StreamResponse:
    """The next turn, token by token; when the browser disconnects, the provider stops as well."""
    return await answer(request, secrets.token_urlsafe(), await conversation(request), {})


@routes.post("/decide")
async def decide(request: web.Request) -> web.StreamResponse:
    """Goes on with a run that waited or failed; the calls and their arguments are the service's, not the browser's."""
    approved: dict[str, bool] = {}
    try:
        body = await request.json()
        run_id, approved = str(body["run"]), {str(id): value is True for id, value in body["approved"].items()}
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        run_id = ""
    if not approved:
        raise web.HTTPUnprocessableEntity(text="expected a run, and for each of its calls true or false")
    if run_id in running:
        raise web.HTTPConflict(text="this is being answered")
    if run_id not in runs:
        raise web.HTTPNotFound(text="this was decided already")
    return await answer(request, run_id, runs[run_id], approved)


async def answer(
    request: web.Request, run_id: str, messages: Messages, approved: dict[str, bool]
) -> web.StreamResponse:
    """Sends the events of a run, which is kept until it is finished. It ends where it lacks an approval."""

    def keep(event: ToolEvent) -> None:
        runs.pop(run_id, None)
        if not (isinstance(event, RunFinished) and event.outcome.status == "finished"):
            runs[run_id] = list(run.messages)
            if len(runs) > 1000:
                del runs[next(iter(runs))]

    def approve(call: PendingCall) -> bool | None:
        return approved.get(call.id)

    client = request.app[CLIENT]
    run = client.run_tools(MODEL, messages, TOOLS, approve=approve, on_event=keep, max_completion_tokens=1000)
    running.add(run_id)
    try:
        return await aiohttp_sse(request, run, tools=True, headers={"x-run": run_id})
    finally:
        running.discard(run_id)


@routes.post("/title")
async def title(request: web.Request) -> web.Response:
    """A title for the conversation, in one piece; cancelled when the browser disconnects."""
    client, messages = request.app[CLIENT], await conversation(request)
    messages.append({"role": "user", "content": "A title for this chat, of at most five words, please."})
    reply = await cancel_on_disconnect(request, client.create(MODEL, messages, max_completion_tokens=20))
    return web.json_response({"title": reply.text})


def make_app() -> web.Application:
    """The service, with one client for all requests; errors of handlers become responses."""
    app = web.Application(middlewares=[aiohttp_errors()])
    app.add_routes(routes)
    app.cleanup_ctx.append(aiohttp_client(CLIENT))
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1")
