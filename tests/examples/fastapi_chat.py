"""A chat service with FastAPI: tokens appear as they come, and the stop button truly stops.

    pip install 'anycompletion[web]' fastapi uvicorn
    OPENAI_API_KEY=… python fastapi_chat.py        # then open http://127.0.0.1:8000

CHAT_MODEL names another model, such as anthropic/claude-haiku-4-5. Before this faces the internet, say who may use it:
whoever reaches it spends your key.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, Field

from anycompletion import AsyncCompletion, CompletionError
from anycompletion.web import cancel_on_disconnect, public_error, starlette_lifespan, starlette_sse

MODEL = os.environ.get("CHAT_MODEL", "openai/gpt-4o-mini")
SYSTEM = {"role": "system", "content": "You are friendly, and brief."}


class Turn(BaseModel):
    """What one side said. The system's part is not the browser's to write."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(max_length=10_000)]


class Chat(BaseModel):
    """A conversation so far."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=50)]

    def whole(self) -> list[dict[str, Any]]:
        """With what the service says before it."""
        return [SYSTEM, *(turn.model_dump() for turn in self.messages)]


app = FastAPI(lifespan=starlette_lifespan())  # one client for all requests, in app.state.client


@app.exception_handler(CompletionError)
async def failed(_: Request, error: CompletionError) -> Response:
    """What goes wrong in a plain handler, as strangers may see it; starlette_sse does the same for streams."""
    told = public_error(error)
    return JSONResponse(told.to_dict(), told.status, told.headers)


@app.get("/")
async def page() -> Response:
    """The page; aiohttp_chat.py shows the same."""
    return FileResponse(Path(__file__).with_name("chat.html"))


@app.post("/chat")
async def chat(request: Request, asked: Chat) -> Response:
    """The next turn, token by token; when the browser leaves, the provider stops, too."""
    client: AsyncCompletion = request.app.state.client
    return starlette_sse(client.stream(MODEL, asked.whole(), max_completion_tokens=1000))


@app.post("/title")
async def title(request: Request, asked: Chat) -> dict[str, str]:
    """A title for the conversation, in one piece; not paid for when nobody waits any more."""
    client: AsyncCompletion = request.app.state.client
    messages = [*asked.whole(), {"role": "user", "content": "A title for this chat, of at most five words, please."}]
    reply = await cancel_on_disconnect(request, client.create(MODEL, messages, max_completion_tokens=20))
    return {"title": reply.text}


if __name__ == "__main__":
    uvicorn.run(app)
