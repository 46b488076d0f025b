"""The plan is a test: the package's imports follow it, and the check that says so finds every kind of breach."""

from collections.abc import Callable
from pathlib import Path

import pytest

from layers import DOORS, FLOORS, NEIGHBOURS, PORCH_MAY, check

PACKAGE = Path(__file__).parents[1] / "lib" / "anycompletion"

Build = Callable[[dict[str, str]], list[str]]


@pytest.fixture
def faults(tmp_path: Path) -> Build:
    """Builds a tiny package from file names and sources, and gives what the check says of it."""

    def build(sources: dict[str, str]) -> list[str]:
        package = tmp_path / "anycompletion"
        for name, source in sources.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return check(package)

    return build


CLEAN = {
    "__init__.py": "from .client import AsyncCompletion\nfrom .errors import CompletionError\n",
    "errors.py": "import asyncio\n",
    "lenient.py": "from __future__ import annotations\n",
    "options.py": "import attrs\nfrom .errors import CompletionError\n",
    "wire.py": "from attrs import define\nfrom .options import Timeout\n",
    "records/__init__.py": "from .messages import Message\nfrom .base import Record\n",
    "records/base.py": "",
    "records/messages.py": "from ..lenient import text\nfrom .base import Record\n",
    "chunks.py": "import msgspec\nfrom .records import Usage\n",
    "convert.py": "from cattrs.gen import override\nfrom .chunks import Delta\n",
    "transport.py": "import aiohttp\nfrom .wire import HttpRequest\n",
    "dialects/__init__.py": "from ..records import ChatRequest\n",
    "dialects/openai_chat.py": "from . import Dialect\nfrom ..accumulate import Accumulator\n",
    "dialects/cohere/__init__.py": "from .encode import encode\n",
    "dialects/cohere/encode.py": "from .. import Dialect\nfrom . import tools\nfrom ...convert import dumps\n",
    "dialects/cohere/tools.py": "",
    "accumulate.py": "from .convert import dumps\n",
    "providers.py": "from .dialects import openai_chat\nfrom .auth import sign\n",
    "auth.py": "",
    "call.py": "from . import retry, transport\nfrom .providers import ROWS\n",
    "retry.py": "",
    "stream.py": "from .call import Call\n",
    "fanout.py": "import anyio\nfrom .stream import CompletionStream\n",
    "journal.py": "",
    "batch.py": "from .journal import Journal\n",
    "client.py": "from .batch import BatchRun\nfrom .fanout import run\n",
    "testing/__init__.py": "from aiohttp import web\nfrom .. import AsyncCompletion\nfrom .fake import Fake\n",
    "testing/fake.py": "from ..wire import Event\nfrom ..framing import SSEFraming\n",
    "framing.py": "",
    "cli.py": "import rich.live\nfrom .testing import SimulatorServer\nfrom . import AsyncCompletion\n",
    "__main__.py": "from .cli import main\n",
}


def test_a_package_that_keeps_to_the_plan_passes(faults: Build) -> None:
    """Honest code would be refused."""
    assert faults(CLEAN) == []


BREACHES: dict[str, tuple[str, str, str]] = {
    "up": ("errors.py", "from .options import Timeout", "errors imports options, which stands above it"),
    "up in the ground": ("wire.py", "from .records import Usage", "wire imports records, which stands above it"),
    "twins of the ground": ("lenient.py", "from .errors import X", "lenient imports errors: strangers on one floor"),
    "up to the client": ("fanout.py", "from .client import X", "fanout imports client, which stands above it"),
    "batch to the client": ("batch.py", "from .client import X", "batch imports client, which stands above it"),
    "up to a porch": ("client.py", "from .testing import X", "client imports testing, which stands above it"),
    "menu to a porch": ("__init__.py", "from .cli import main", "__init__ imports cli, which stands above it"),
    "up to the menu": ("call.py", "from . import AsyncCompletion", "call imports __init__, which stands above it"),
    "strangers": ("retry.py", "from .limits import admit", "retry imports limits: strangers on one floor"),
    "stream to fanout": ("stream.py", "from .fanout import run", "stream imports fanout: strangers on one floor"),
    "journal to batch": ("journal.py", "from .batch import X", "journal imports batch: strangers on one floor"),
    "sibling dialect": (
        "dialects/a.py",
        "from .cohere import encode",
        "dialects.a imports dialects.cohere: strangers on one floor",
    ),
    "sibling dialect's module": (
        "dialects/a.py",
        "from .cohere.encode import encode",
        "dialects.a imports dialects.cohere: strangers on one floor",
    ),
    "dialects' own package": (
        "dialects/__init__.py",
        "from . import cohere",
        "dialects imports dialects.cohere, which stands above it",
    ),
    "dialect sends": (
        "dialects/a.py",
        "from ..transport import Pool",
        "dialects.a imports transport: a dialect is pure and leaves sending to others",
    ),
    "dialect retries": (
        "dialects/cohere/encode.py",
        "from ...retry import delay",
        "dialects.cohere imports retry: a dialect is pure and leaves sending to others",
    ),
    "dialect limits": (
        "dialects/a.py",
        "from ..limits import admit",
        "dialects.a imports limits: a dialect is pure and leaves sending to others",
    ),
    "dialect signs": (
        "dialects/a.py",
        "from ..auth import sign",
        "dialects.a imports auth: a dialect is pure and leaves sending to others",
    ),
    "dialect looks up providers": (
        "dialects/a.py",
        "from ..providers import ROWS",
        "dialects.a imports providers, which stands above it",
    ),
    "transport learns records": (
        "transport.py",
        "from .records import ChatRequest",
        "transport imports records: the transport carries bytes and does not know what a chat is",
    ),
    "transport learns dialects": (
        "transport.py",
        "from .dialects import Dialect",
        "transport imports dialects, which stands above it",
    ),
    "porch to porch": (
        "web.py",
        "from .cli import main",
        "web imports cli: a porch uses the front door and testing only",
    ),
    "porch past the front door": (
        "cli.py",
        "from .call import Call",
        "cli imports call: a porch uses the front door and testing only",
    ),
    "testing to a porch": (
        "testing/fake.py",
        "from ..web import X",
        "testing imports web: a porch uses the front door and testing only",
    ),
    "second door of aiohttp": (
        "call.py",
        "import aiohttp",
        "call imports aiohttp, which only enters by cli, testing, transport, web",
    ),
    "aiohttp in the client": (
        "client.py",
        "from aiohttp import ClientSession",
        "client imports aiohttp, which only enters by cli, testing, transport, web",
    ),
    "second door of yarl": (
        "wire.py",
        "from yarl import URL",
        "wire imports yarl, which only enters by cli, testing, transport, web",
    ),
    "second door of cattrs": (
        "wire.py",
        "from cattrs.gen import override",
        "wire imports cattrs, which only enters by convert, validate",
    ),
    "second door of msgspec": (
        "records/base.py",
        "import msgspec.json",
        "records imports msgspec, which only enters by chunks, convert, framing",
    ),
    "second door of anyio": (
        "transport.py",
        "import anyio",
        "transport imports anyio, which only enters by batch, cli, client, fanout, testing, web",
    ),
    "second door of cyclopts": ("client.py", "import cyclopts", "client imports cyclopts, which only enters by cli"),
    "second door of rich": ("web.py", "from rich import print", "web imports rich, which only enters by cli"),
    "second door of pytest": ("cli.py", "import pytest", "cli imports pytest, which only enters by testing"),
    "library off the plan": ("call.py", "import httpx", "call imports httpx, which is no library of the plan"),
    "room off the plan": ("call.py", "from .helpers import x", "call imports helpers, which is no room of the plan"),
    "absolute from": ("errors.py", "from anycompletion.wire import X", "errors imports wire, which stands above it"),
    "absolute import": ("errors.py", "import anycompletion.wire", "errors imports wire, which stands above it"),
    "absolute member": ("errors.py", "from anycompletion import wire", "errors imports wire, which stands above it"),
    "absolute alias": ("errors.py", "import anycompletion.wire as w", "errors imports wire, which stands above it"),
    "relative member": ("errors.py", "from . import wire", "errors imports wire, which stands above it"),
    "deep relative": ("records/base.py", "from ..chunks import X", "records imports chunks, which stands above it"),
    "second of two": ("errors.py", "import asyncio, anycompletion.wire", "errors imports wire, which stands above it"),
    "computed name": (
        "call.py",
        "import importlib; importlib.import_module('anycompletion.client')",
        "call imports by a computed name, which this check cannot see",
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_every_kind_of_breach_is_found_and_nothing_else(faults: Build, breach: str) -> None:
    """An import that leaves the plan would pass unseen, or be reported as something else."""
    name, statement, sentence = BREACHES[breach]
    sources = CLEAN | {name: CLEAN.get(name, "") + statement + "\n"}
    line = sources[name].count("\n")
    assert faults(sources) == [f"{name}:{line}: {sentence}"]


def test_an_import_inside_a_function_counts(faults: Build) -> None:
    """An import up could hide inside a function."""
    source = "class A:\n    def f(self):\n        if self:\n            from .client import X\n"
    assert faults(CLEAN | {"call.py": source}) == ["call.py:4: call imports client, which stands above it"]


@pytest.mark.parametrize("guard", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_an_import_for_type_checkers_is_exempt(faults: Build, guard: str) -> None:
    """Annotations could not name a type of a higher floor or of a library behind its door."""
    source = (
        f"import typing\nfrom typing import TYPE_CHECKING\nif {guard}:\n    import aiohttp\n    from . import client\n"
    )
    assert faults(CLEAN | {"errors.py": source}) == []


def test_the_else_of_type_checking_is_not_exempt(faults: Build) -> None:
    """What runs when no type checker looks could leave the plan behind `else`."""
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    X = 1\nelse:\n    import aiohttp\n"
    assert faults(CLEAN | {"errors.py": source}) == [
        "errors.py:5: errors imports aiohttp, which only enters by cli, testing, transport, web"
    ]


def test_a_stub_says_what_a_computed_import_may_load(faults: Build) -> None:
    """The menu could bring in a porch by a computed name, or be refused for loading what its stub says."""
    lazy = {"__init__.py": "import importlib\ndef f(name):\n    importlib.import_module(name)\n"}
    assert faults(CLEAN | lazy) == ["__init__.py:3: __init__ imports by a computed name, which this check cannot see"]
    assert faults(CLEAN | lazy | {"__init__.pyi": "from .client import X\n"}) == []
    assert faults(CLEAN | lazy | {"__init__.pyi": "from .cli import main\n"}) == [
        "__init__.pyi:1: __init__ imports cli, which stands above it"
    ]


def test_a_module_that_is_not_on_the_plan_is_found(faults: Build) -> None:
    """A room nobody planned could grow in the dark."""
    assert faults(CLEAN | {"utils.py": "import aiohttp\n"}) == ["utils.py:1: utils is no room of the plan"]


def test_the_plan_speaks_of_no_room_twice() -> None:
    """A room on two floors would stand on the higher one, and the tables could name rooms that do not exist."""
    rooms = [room for floor in FLOORS for room in floor]
    named = {room for pair in NEIGHBOURS for room in pair} | PORCH_MAY | {r for rooms in DOORS.values() for r in rooms}
    assert len(rooms) == len(set(rooms))
    assert named <= set(rooms)


def test_the_package_keeps_to_the_plan() -> None:
    """An import of the package goes up, joins strangers, or brings a library in by a second door."""
    assert check(PACKAGE) == []
