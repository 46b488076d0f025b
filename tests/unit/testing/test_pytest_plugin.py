"""Tests of the pytest plugin, here and in an environment with nothing but the package, and of the example suite."""

import asyncio
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from anycompletion import AsyncCompletion, InternalServerError
from anycompletion.testing import FakeProvider, NetworkBlockedError, SimulatorServer

pytest_plugins = ["anycompletion.testing.pytest"]

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "tests" / "examples"


async def test_fake_llm_replaces_every_provider(fake_llm: FakeProvider) -> None:
    """A test would have to name the provider that an app uses."""
    async with AsyncCompletion(providers=[fake_llm]) as client:
        assert (await client.create("anthropic/x", "Hi")).text == "You said: Hi (choice 0)"
        fake_llm.add("Hello!")
        assert (await client.create("groq/x", "Hi")).text == "Hello!"


async def test_the_environment_points_to_llm_server(llm_server: SimulatorServer) -> None:
    """An app that creates its own client could not be tested unchanged."""
    llm_server.reply = "Hello!"
    models = ("openai/x", "anthropic/x", "azure/x", "cohere/x", "replicate/a/b", "openrouter/a/b")
    async with AsyncCompletion() as client:
        assert [(await client.create(model, "Hi")).text for model in models] == ["Hello!"] * len(models)
        llm_server.fault = "overloaded"
        with pytest.raises(InternalServerError):
            await client.create("openai/x", "Hi", max_retries=0)
    assert {request.provider for request in llm_server.requests} == {model.partition("/")[0] for model in models}


def test_llm_server_works_in_sync_tests(llm_server: SimulatorServer) -> None:
    """A sync test, such as one with a web framework's test client, would have to be async."""

    async def main() -> str:
        async with AsyncCompletion() as client:
            return (await client.create("openai/x", "Hi")).text

    assert asyncio.run(main()) == "You said: Hi (choice 0)"
    assert os.environ["OPENAI_BASE_URL"] == llm_server.base_urls["openai"]


async def test_a_disconnect_is_seen_from_another_loop(llm_server: SimulatorServer) -> None:
    """A test would wait forever for an event of the server's own event loop."""
    llm_server.chunk_delay = 0.05
    async with AsyncCompletion() as client:
        async with client.stream("openai/x", "one two three four") as stream:
            async for _ in stream:
                break
        assert await llm_server.requests[0].wait_closed()


@pytest.fixture
def _environment_before() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AZURE_OPENAI_AD_TOKEN", "a token of the developer's")
        yield
        assert os.environ["AZURE_OPENAI_AD_TOKEN"] == "a token of the developer's"
        assert "127.0.0.1" not in os.environ.get("OPENAI_BASE_URL", "")


@pytest.mark.usefixtures("_environment_before", "llm_server")
def test_llm_server_restores_the_environment() -> None:
    """The next test would connect to a stopped server, or a developer's token would override the simulator's key."""
    assert "AZURE_OPENAI_AD_TOKEN" not in os.environ


@pytest.mark.usefixtures("no_network")
async def test_no_network_blocks_connections() -> None:
    """A test that uses the fixture could still reach a provider."""
    with pytest.raises(NetworkBlockedError):
        await asyncio.open_connection("192.0.2.1", 443)


# --- an installed environment ----------------------------------------------------------------------------------------


def python(executable: Path | str, *arguments: object, cwd: Path) -> str:
    """The output of a program that has access to the installed package only."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    done = subprocess.run(
        [str(executable), *map(str, arguments)],
        cwd=cwd,
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of a virtual environment into which a wheel of this package was installed."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    folder = tmp_path_factory.mktemp("installed")
    python(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder / "venv")
    scripts = "Scripts" if os.name == "nt" else "bin"
    executable = folder / "venv" / scripts / "python"
    site = Path(python(executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    zipfile.ZipFile(wheel).extractall(site)  # unpacking installs a wheel of pure Python
    # The dependencies are those of this process; the installed package precedes a copy among them.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return executable


def test_the_example_suite_runs_with_the_package_alone(installed: Path, tmp_path: Path) -> None:
    """The plugin would need this project's tests, or a user's suite would not run offline."""
    for path in sorted(EXAMPLES.glob("testing_*")):
        _copy(path, tmp_path / path.name)
    where = python(installed, "-c", "import anycompletion; print(anycompletion.__file__)", cwd=tmp_path)
    assert installed.parents[1] in Path(where.strip()).parents
    output = python(installed, "-m", "pytest", "-q", *_OPTIONS, "testing_suite.py", cwd=tmp_path)
    assert "9 passed" in output, output


_OPTIONS = (
    *("-W", "error", "-p", "no:cacheprovider"),
    *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir()
        for path in source.iterdir():
            _copy(path, target / path.name)
    elif source.suffix != ".pyc":
        target.write_bytes(source.read_bytes())


def test_only_the_plugin_imports_pytest() -> None:
    """An app that uses the simulator in production-like runs would need pytest installed."""
    code = "import sys, anycompletion.testing; sys.exit('pytest' in sys.modules or '_pytest' in sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_plugin_is_not_registered_automatically(installed: Path, tmp_path: Path) -> None:
    """Fixtures would appear in every suite of an environment that has the package."""
    code = "from importlib.metadata import distribution; print(distribution('anycompletion').entry_points)"
    assert "pytest11" not in python(installed, "-c", code, cwd=tmp_path)
    assert "anycompletion" in python(installed, "-c", code.replace("entry_points", "name"), cwd=tmp_path)
