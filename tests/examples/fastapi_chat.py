"""A chat service with FastAPI: tokens appear as they arrive, and the stop button ends the request.

    pip install 'anycompletion[web]' fastapi uvicorn
    OPENAI_API_KEY=… python fastapi_chat.py        # then open http://127.0.0.1:8000

CHAT_MODEL names another model, such as anthropic/claude-haiku-4-5. Before you deploy this, add authentication: every
visitor spends your key.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field

from anycompletion import AsyncCompletion
from anycompletion.web import cancel_on_disconnect, starlette_errors, starlette_lifespan, starlette_sse

MODEL = os.environ.get("CHAT_MODEL", "openai/gpt-4o-mini")
SYSTEM = {"role": "system", "content": "You are friendly, and brief."}


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


# One client for all requests, in app.state.client; errors of handlers become responses.
app = FastAPI(lifespan=starlette_lifespan(), exception_handlers=starlette_errors())


@app.get("/")
async def page() -> Response:
    """The page, the same as in aiohttp_chat.py."""
    return FileResponse(Path(__file__).with_name("chat.html"))


@app.post("/chat")
async def chat(request: Request, body: Chat) -> Response:
    """The next turn, token by token; when the browser disconnects, the provider stops as well."""
    client: AsyncCompletion = request.app.state.client
    return starlette_sse(client.stream(MODEL, body.with_system_message(), max_completion_tokens=1000))


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
