"""Runs the code blocks of pages as their readers would, each in a folder of its own; `pages` describes the marks.

- A block with ``pip install`` runs in a virtual environment in which nothing of the project is installed, where
  ``pip`` can install this checkout. What else its requirements name is found in the environment of the tests, so that
  pip needs no network. ``from the index`` allows downloads, and the blocks below that need them run in the same
  environment.
- A command that serves is started in bash, awaited until its port is open, and ended as Ctrl-C ends it.
- ``behind: tls`` and ``behind: google`` put `tls_front` before the simulator.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from anycompletion import PROVIDERS
from support.pages import FILES, ROOT, Snippet, snippets_of
from support.programs import run_command

PYTEST = (
    *("-m", "pytest", "-q", "-p", "no:cacheprovider"),
    *("-p", "anycompletion.testing.pytest"),
    *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
)
"""Options of the interpreter that run a block with tests; after the fifth, those that stand for a conftest.py."""

SERVICE_PORT, SIMULATOR_PORT = 8000, 8080
"""The ports on pages: of uvicorn, and of the simulator."""

_FOREGROUND = (
    *(sys.executable, "-I", "-S", "-c"),
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp('bash', ['bash', *sys.argv[1:]])",
)
"""bash with Ctrl-C enabled: a shell starts background jobs, such as a test run may be, with it ignored."""

_BASH = ("-eu", "-o", "pipefail", "-c")

_NO_INDEX = re.compile(r"No matching distribution found for .*|Could not install packages due to an OSError.*")

AWS = """\
#!/bin/sh
[ "$*" = "configure export-credentials --profile dev --format env" ] || exit 2
echo export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE
echo export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
"""
"""Stand-in of the command ``aws``."""


class Ended(NamedTuple):
    """The end of a block."""

    status: int | None
    output: str
    errors: str


def test_environment() -> str:
    """The folders in which packages of the tests are installed, for PYTHONPATH."""
    return os.pathsep.join(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))


def copy_of_checkout(folder: Path) -> Path:
    """A copy of this checkout, without what is not under version control and large."""
    ignored = shutil.ignore_patterns(".*_cache", ".git", ".peers", ".venv", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=ignored)
    return folder


def small_checkout(folder: Path) -> Path:
    """A project with the settings and the name of this one, and a few files of it."""
    package = folder / "lib" / "anycompletion"
    package.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    init = (ROOT / "lib" / "anycompletion" / "__init__.py").read_text("utf-8")
    version = re.search(r"^__version__ = .*$", init, re.MULTILINE)
    assert version is not None, "pyproject.toml reads the version there"
    (package / "__init__.py").write_text(f'"""Few lines."""\n\n{version[0]}\n', "utf-8")
    (folder / "tests" / "typing").mkdir(parents=True)
    (folder / "tests" / "test_version.py").write_text(
        "from anycompletion import __version__\n\n\n"
        'def test_version() -> None:\n    """There would be none."""\n    assert __version__\n',
        "utf-8",
    )
    return folder


class Installations:
    """Virtual environments for blocks with ``pip install``, and copies of the checkout; made when they are needed."""

    def __init__(self, folder: Path) -> None:
        self.downloaded: set[Snippet] = set()
        """Blocks that have run, with what they download."""
        self._folder = folder
        self._clones: dict[str, Path] = {}
        self._environments: dict[str, Path] = {}
        self._wheel: Path | None = None

    def clone(self, kind: str) -> Path:
        """The copy of the checkout that ``in: <kind>`` names; beside the large one is another, `main`."""
        if kind not in self._clones:
            make = {"clone": copy_of_checkout, "small clone": small_checkout}[kind]
            self._clones[kind] = make(self._folder / kind.replace(" ", "-"))
            if kind == "clone":
                (self._folder / "main").symlink_to(self._clones[kind])
        return self._clones[kind]

    def environment(self, name: str) -> Path:
        """A virtual environment that sees the packages of the tests, but has a package of this checkout of its own."""
        if name not in self._environments:
            folder = self._folder / f"environment-{len(self._environments)}"
            venv.create(folder, symlinks=True)
            (packages,) = folder.glob("lib/python*/site-packages")
            (packages / "tests.pth").write_text(test_environment().replace(os.pathsep, "\n"), "utf-8")
            with zipfile.ZipFile(self._built()) as wheel:
                wheel.extractall(packages)
            _write_script(folder / "bin" / "pip", f'exec "{folder}/bin/python" -m pip "$@"')
            self._environments[name] = folder
        return self._environments[name]

    def _built(self) -> Path:
        """The checkout as a wheel."""
        if self._wheel is None:
            folder = self._folder / "wheel"
            options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder))
            subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True, timeout=60)
            (self._wheel,) = folder.glob("*.whl")
        return self._wheel


class Workplace:
    """The folder and the environment variables of one block."""

    def __init__(self, snippet: Snippet, folder: Path, environment: Mapping[str, str], made: Installations) -> None:
        self.snippet = snippet
        self.folder = folder
        self.environment = dict(environment)
        self.made = made
        self.python = sys.executable
        self.ports = {port: _free_port() for port in (SERVICE_PORT, SIMULATOR_PORT)}
        self._write_files()
        self._write_programs()
        self.environment["UVICORN_PORT"] = str(self.ports[SERVICE_PORT])
        if _installs(snippet):
            self._install_here()
        for setting in " ".join(snippet.reasons("with")).split():
            name, _, value = setting.partition("=")
            self.environment.pop(name, None)
            self.environment |= {name: value} if value else {}

    def _write_files(self) -> None:
        """Writes what the page has had its readers save, and what all blocks may read."""
        for name, content in FILES.items():
            (self.folder / name).write_bytes(content)
        for block in snippets_of(ROOT / self.snippet.page):
            if block.line < self.snippet.line and block.reason("file"):
                (self.folder / block.reason("file")).write_text(block.whole, "utf-8")

    def _write_programs(self) -> None:
        programs = self.folder / "bin"
        programs.mkdir()
        commands = {"anycompletion": "-m anycompletion", "python": "", "uvicorn": "-m uvicorn"}
        for name, module in commands.items():
            _write_script(programs / name, f'exec "{sys.executable}" {module} "$@"')
        if "aws" in self.snippet.reasons("behind"):
            (programs / "aws").write_text(AWS, "utf-8")
            (programs / "aws").chmod(0o755)
        self.environment["PATH"] += f"{os.pathsep}{Path(sys.executable).parent}"  # ruff, mypy, pyright
        self._prefer(programs)

    def _prefer(self, programs: Path) -> None:
        self.environment["PATH"] = f"{programs}{os.pathsep}{self.environment['PATH']}"

    def _install_here(self) -> None:
        """Directs pip to a virtual environment, and programs to the package that it installs there."""
        downloads = "from the index" in self.snippet.marks
        own = {each for row in PROVIDERS.values() for each in (*row.key_env, *row.base_url_env)}
        for name in [name for name in self.environment if name in own or name == "PYTHONPATH"]:
            del self.environment[name]
        if downloads:
            self.environment["PIP_RETRIES"] = "1"
        else:
            for name in [name for name in self.environment if name.startswith("PIP_")]:
                del self.environment[name]
            self.environment |= {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
        # pip reads 0 here as --no-build-isolation, which finds the build backend where the tests are installed.
        self.environment |= {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_COMPILE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        if "-m venv" in self.snippet.whole:  # an environment of the block's own
            self.environment["PYTHONPATH"] = test_environment()
        place = self.made.environment("downloads" if downloads else self.snippet.reason("in") or "pages")
        self._prefer(place / "bin")

    async def use_downloads(self) -> None:
        """Has a block run in the environment of the block above it that installs what it needs."""
        above = [
            block
            for block in snippets_of(ROOT / self.snippet.page)
            if block.line < self.snippet.line and "from the index" in block.marks and _installs(block)
        ]
        if not above:
            pytest.skip(f"{self.snippet.missing} is not installed")
        if above[-1] not in self.made.downloaded:
            place = self.folder / "install"
            place.mkdir()
            ended = await Workplace(above[-1], place, os.environ, self.made).run_shell()
            assert ended.status == 0, ended.errors + ended.output
        self.python = str(self.made.environment("downloads") / "bin" / "python")

    def small(self, text: str) -> str:
        """The block with what the tests replace in it."""
        for each in self.snippet.reasons("small"):
            old, _, new = each.partition(" -> ")
            assert old in text, f"{self.snippet}: {old!r} is not in the block"
            text = text.replace(old, new)
        return self.at_free_ports(text)

    def at_free_ports(self, text: str) -> str:
        """A text with the ports that are used here, if there is a service."""
        if self.snippet.reason("against") or "serves" in self.snippet.marks:
            for port, free in self.ports.items():
                text = re.sub(rf"\b{port}\b", str(free), text)
        return text

    def unprinted(self, output: str) -> list[str]:
        """What the block should have printed, and has not."""
        return [text for text in self.snippet.reasons("prints") if self.at_free_ports(text) not in output]

    async def run_python(self) -> Ended:
        """Runs a Python block, against its service."""
        has_conftest = (self.folder / "conftest.py").exists()
        name = self.snippet.reason("file") or ("test_snippet.py" if self.snippet.has_tests else "snippet.py")
        program = self.folder / name
        program.write_text(self.small(self.snippet.program), "utf-8")
        options = (PYTEST[:5] if has_conftest else PYTEST) if self.snippet.has_tests else ()
        async with self._service():
            warnings = "default" if "logs" in self.snippet.marks else "error"
            return await self._run(self.python, *options, "-W", warnings, str(program))

    async def run_shell(self) -> Ended:
        """Runs a block of commands, against its service; one that serves until it is interrupted."""
        command = self.small(self.snippet.whole)
        place = self.snippet.reason("in")
        folder = self.made.clone(place) if place else self.folder
        if "serves" in self.snippet.marks:
            async with self.serving(command) as service:
                pass
            return await service.ended()
        async with self._service():
            ended = await self._run(*_FOREGROUND, *_BASH, command, folder=folder)
        if "from the index" in self.snippet.marks and ended.status and (found := _NO_INDEX.search(ended.errors)):
            pytest.skip(f"no package index: {found[0]}")
        self.made.downloaded.add(self.snippet)
        return ended

    async def _run(self, *command: str, folder: Path | None = None) -> Ended:
        found = await run_command(*command, environment=self.environment, folder=folder or self.folder, seconds=300)
        return Ended(*found)

    @contextlib.asynccontextmanager
    async def _service(self) -> AsyncGenerator[None]:
        command = self.at_free_ports(self.snippet.reason("against"))
        if not command:
            yield
            return
        async with self.serving(command) as service:
            yield
        ended = await service.ended()
        assert "Traceback" not in ended.errors, ended.errors

    @contextlib.asynccontextmanager
    async def serving(self, command: str) -> AsyncGenerator[Service]:
        """Runs a command that serves: waits until it listens, and interrupts it at the end."""
        port = self.ports[SIMULATOR_PORT if f"{self.ports[SIMULATOR_PORT]}" in command else SERVICE_PORT]
        process = await asyncio.create_subprocess_exec(
            *_FOREGROUND,
            *_BASH,
            f"exec {command}",
            env=self.environment,
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        service = Service(process)
        try:
            await service.listens(port)
            yield service
        finally:
            await service.interrupt()


class Service:
    """A running command that serves."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading = asyncio.create_task(process.communicate())

    async def listens(self, port: int) -> None:
        """Waits until a port is open."""
        deadline = time.monotonic() + 60
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if self._reading.done():
                    raise AssertionError(f"it has ended: {self._reading.result()}") from None
                assert time.monotonic() < deadline, f"nothing listens on port {port}"
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    async def interrupt(self) -> None:
        """Does what Ctrl-C does, and waits for the end."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        await asyncio.wait([self._reading], timeout=30)
        if self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> Ended:
        """Its end: status 0 where the interrupt ended it, as a shell reports it."""
        output, errors = await self._reading
        status = self._process.returncode
        by_interrupt = status in (-signal.SIGINT, 128 + signal.SIGINT)
        return Ended(0 if by_interrupt else status, output.decode(), errors.decode())


def _installs(snippet: Snippet) -> bool:
    """Whether the block installs packages into its environment."""
    return snippet.language == "sh" and "pip install" in snippet.whole


def _write_script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n", "utf-8")
    path.chmod(0o755)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
