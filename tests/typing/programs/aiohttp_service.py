"""A service with aiohttp.web: a plain handler, a stream and a tool run, which stop when the browser leaves."""

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from anycompletion import AsyncCompletion, CompletionError
from anycompletion.tools import tool
from anycompletion.web import aiohttp_client, aiohttp_sse, cancel_on_disconnect, public_error

CLIENT = web.AppKey("client", AsyncCompletion)
MODEL = "anthropic/claude-haiku-4-5"


@tool
def opening_hours() -> str:
    """When the shop is open."""
    return "9 to 18"


async def question_of(request: web.Request) -> str:
    body = await request.json()
    return str(body["text"])


async def reply(request: web.Request) -> web.Response:
    call = request.app[CLIENT].create(MODEL, await question_of(request), max_tokens=100)
    try:
        completion = await cancel_on_disconnect(request, call)
    except CompletionError as error:
        public = public_error(error)
        return web.json_response(public.to_dict(), status=public.status, headers=public.headers)
    return web.json_response(completion.to_dict())


async def stream(request: web.Request) -> web.StreamResponse:
    return await aiohttp_sse(request, request.app[CLIENT].stream(MODEL, await question_of(request)), ping=5)


async def agent(request: web.Request) -> web.StreamResponse:
    run = request.app[CLIENT].run_tools(MODEL, await question_of(request), [opening_hours], max_turns=4)
    return await aiohttp_sse(request, run, tools=True, write_timeout=20)


async def relay_by_hand(request: web.Request) -> web.StreamResponse:
    """For a format of one's own."""
    response = web.StreamResponse(headers={"content-type": "text/plain"})
    async with request.app[CLIENT].stream(MODEL, await question_of(request)) as replied:
        await response.prepare(request)
        async for text in replied.text:
            await response.write(text.encode())
    return response


def make_app() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(aiohttp_client(CLIENT, lambda: AsyncCompletion(timeout=60)))
    app.add_routes([web.post("/reply", reply), web.post("/stream", stream), web.post("/text", relay_by_hand)])
    app.add_routes([web.post("/agent", agent)])
    return app


async def main() -> None:
    async with TestClient(TestServer(make_app())) as browser:
        for path in ("/reply", "/stream", "/text", "/agent"):
            response = await browser.post(path, json={"text": "Hello!"})
            text = await response.text()
            print(path, response.status, response.content_type, text.count("[DONE]"))


if __name__ == "__main__":
    asyncio.run(main())
