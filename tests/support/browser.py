"""A headless Chromium, driven over its DevTools protocol; knows no page."""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")

CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
"""The browser's path, or None."""

_FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
    # Debian's wrapper and containers have no user namespace for it; the only page it shows is the test's.
    "--no-sandbox",
)

_PATIENCE = 30.0


class Page:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._turn = 0

    async def ask(self, method: str, **params: Any) -> Any:
        """A command of the protocol, and its result."""
        self._turn += 1
        await self._socket.send_json({"id": self._turn, "method": method, "params": params})
        while True:
            said = await self._socket.receive_json(timeout=_PATIENCE)
            if said.get("id") == self._turn:  # the others are events
                assert "error" not in said, said
                return said["result"]

    async def open(self, url: str) -> None:
        """Shows a page."""
        await self.ask("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression is worth on the page."""
        result = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, expression: str) -> None:
        """Waits until an expression is true."""
        async with asyncio.timeout(_PATIENCE):
            while not await self.value(expression):
                await asyncio.sleep(0.01)

    async def type(self, text: str) -> None:
        """Types into what has the focus, and presses Enter."""
        await self.ask("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            await self.ask("Input.dispatchKeyEvent", type=kind, **key)

    async def click(self, selector: str) -> None:
        """Clicks in the middle of an element, with the mouse."""
        box = await self.value(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({_rect(selector)})")
        for kind in ("mousePressed", "mouseReleased"):
            await self.ask("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def picture(self, width: int, height: int) -> bytes:
        """The page as a PNG of that many pixels."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        return base64.b64decode((await self.ask("Page.captureScreenshot", format="png"))["data"])


def _rect(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"


@contextlib.asynccontextmanager
async def browser() -> AsyncGenerator[Page, None]:
    """A browser with an empty page, for as long as the block runs."""
    assert CHROMIUM is not None, "there is no Chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            *(CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOME": profile},
        )
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(await _address(session, Path(profile)), max_msg_size=0) as socket,
            ):
                page = Page(socket)
                await page.ask("Page.enable")
                yield page
                with contextlib.suppress(TypeError, TimeoutError):  # it may hang up before it answers
                    await page.ask("Browser.close")
        finally:
            await _gone(process)


async def _address(session: aiohttp.ClientSession, profile: Path) -> str:
    """Where the first page listens; the browser writes its port into a file."""
    note = profile / "DevToolsActivePort"
    async with asyncio.timeout(_PATIENCE):
        while not note.exists() or len(lines := note.read_text("ascii").splitlines()) < 2:
            await asyncio.sleep(0.01)
        while True:
            async with session.get(f"http://127.0.0.1:{lines[0]}/json/list") as answer:
                pages = [each for each in await answer.json() if each["type"] == "page"]
            if pages:
                address: str = pages[0]["webSocketDebuggerUrl"]
                return address
            await asyncio.sleep(0.01)


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Waits for the browser's end, and kills it where that takes long."""
    try:
        await asyncio.wait_for(process.wait(), 5)
    except TimeoutError:
        os.killpg(process.pid, 9)
        await process.wait()
