"""A headless Chromium, controlled by its DevTools protocol; contains nothing about a particular page."""

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
    # Debian's wrapper and containers have no user namespace for the sandbox; the only page is the test's.
    "--no-sandbox",
)

_TIMEOUT = 30.0


class Page:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._id = 0

    async def send(self, method: str, **params: Any) -> Any:
        """Sends a command of the protocol; returns its result."""
        self._id += 1
        await self._socket.send_json({"id": self._id, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json(timeout=_TIMEOUT)
            if message.get("id") == self._id:  # the others are events
                assert "error" not in message, message
                return message["result"]

    async def open(self, url: str) -> None:
        """Loads a page."""
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def value(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page."""
        result = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, expression: str) -> None:
        """Waits until an expression is true."""
        async with asyncio.timeout(_TIMEOUT):
            while not await self.value(expression):
                await asyncio.sleep(0.01)

    async def type(self, text: str) -> None:
        """Types into the focused element and presses Enter."""
        await self.send("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            await self.send("Input.dispatchKeyEvent", type=kind, **key)

    async def click(self, selector: str) -> None:
        """Clicks in the middle of an element, with the mouse."""
        box = await self.value(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({_rect(selector)})")
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def screenshot(self, width: int, height: int) -> bytes:
        """The page as a PNG of `width` × `height` pixels."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        return base64.b64decode((await self.send("Page.captureScreenshot", format="png"))["data"])


def _rect(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"


@contextlib.asynccontextmanager
async def browser() -> AsyncGenerator[Page, None]:
    """Context manager of a browser with an empty page."""
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
                session.ws_connect(await _page_address(session, Path(profile)), max_msg_size=0) as socket,
            ):
                page = Page(socket)
                await page.send("Page.enable")
                yield page
                with contextlib.suppress(TypeError, TimeoutError):  # it may close the connection before it responds
                    await page.send("Browser.close")
        finally:
            await _wait_ended(process)


async def _page_address(session: aiohttp.ClientSession, profile: Path) -> str:
    """The WebSocket URL of the first page; the browser writes its port into a file."""
    port_file = profile / "DevToolsActivePort"
    async with asyncio.timeout(_TIMEOUT):
        while not port_file.exists() or len(lines := port_file.read_text("ascii").splitlines()) < 2:
            await asyncio.sleep(0.01)
        while True:
            async with session.get(f"http://127.0.0.1:{lines[0]}/json/list") as response:
                pages = [each for each in await response.json() if each["type"] == "page"]
            if pages:
                address: str = pages[0]["webSocketDebuggerUrl"]
                return address
            await asyncio.sleep(0.01)


async def _wait_ended(process: asyncio.subprocess.Process) -> None:
    """Waits until the browser ends, and kills it after 5 seconds."""
    try:
        await asyncio.wait_for(process.wait(), 5)
    except TimeoutError:
        os.killpg(process.pid, 9)
        await process.wait()
