"""A service with FastAPI: a reply as JSON, a stream and a tool run for browsers, and errors with a proper status."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

from anycompletion import AsyncCompletion, ChatCompletion, CompletionError, Usage
from anycompletion.tools import tool
from anycompletion.web import cancel_on_disconnect, chat_completions_app, public_error, starlette_sse

MODEL = "openai/gpt-4o-mini"


class State(TypedDict):
    """What handlers find in ``request.state``."""

    client: AsyncCompletion


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
    async with AsyncCompletion() as client:
        client.check(MODEL)
        app.mount("/llm", chat_completions_app(client, authorize=authorize, models=[MODEL]))
        yield {"client": client}


def authorize(request: Request) -> bool:
    return request.headers.get("authorization") == f"Bearer {os.environ.get('SERVICE_KEY', 'service-key')}"


def client_of(request: Request) -> AsyncCompletion:
    client: AsyncCompletion = request.state.client
    return client


Client = Annotated[AsyncCompletion, Depends(client_of)]
app = FastAPI(lifespan=lifespan)


class Question(BaseModel):
    """The body of a request."""

    text: str
    messages: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    temperature: float | None = None


class AnswerBody(BaseModel):
    """A reply with the service's own fields beside it."""

    reply: ChatCompletion
    usage: Usage | None
    seconds: float


@app.post("/reply")
async def reply_as_json(question: Question, request: Request, client: Client) -> ChatCompletion:
    return await cancel_on_disconnect(request, client.create(MODEL, question.text, temperature=question.temperature))


@app.post("/answer")
async def answer(question: Question, client: Client) -> AnswerBody:
    messages = [*question.messages, {"role": "user", "content": question.text}]
    reply = await client.create(MODEL, messages, temperature=question.temperature)
    return AnswerBody(reply=reply, usage=reply.usage, seconds=reply.info.elapsed)


@app.post("/stream")
async def stream(question: Question, client: Client) -> Response:
    return starlette_sse(client.stream(MODEL, question.text))


@tool
def opening_hours() -> str:
    """When the shop is open."""
    return "9 to 18"


@app.post("/agent")
async def agent(question: Question, client: Client) -> Response:
    return starlette_sse(client.run_tools(MODEL, question.text, [opening_hours]), tools=True)


@app.get("/health")
async def health(client: Client) -> dict[str, Any]:
    return client.stats().to_dict()


@app.exception_handler(CompletionError)
async def on_completion_error(_: Request, error: CompletionError) -> JSONResponse:
    public = public_error(error)
    return JSONResponse(public.to_dict(), public.status, dict(public.headers))


def main() -> None:
    with TestClient(app) as browser:
        reply = browser.post("/reply", json={"text": "Hello!"})
        print("reply:", reply.status_code, reply.json()["choices"][0]["message"]["role"])
        answered = browser.post("/answer", json={"text": "Hello!", "temperature": 0}).json()
        print("answer:", sorted(answered), sorted(answered["usage"])[:1])
        events = browser.post("/stream", json={"text": "Hello!"}).text.split("\n\n")
        print("stream:", events[-2])
        events = browser.post("/agent", json={"text": "When do you open?"}).text.split("\n\n")
        print("agent:", events[-2], sum('"tool_event"' in event for event in events))
        refused = browser.post("/reply", json={"text": "Hello!", "temperature": 100})
        print("refused:", refused.status_code, refused.json()["error"]["param"])
        print("health:", sorted(browser.get("/health").json()["providers"]))
        models = browser.get("/llm/models", headers={"authorization": "Bearer service-key"})
        print("models:", [model["id"] for model in models.json()["data"]])


if __name__ == "__main__":
    main()
