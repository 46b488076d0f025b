"""Providers of installed packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anycompletion

ASK = """
import asyncio
from anycompletion import AsyncCompletion, CompletionError, known_providers, supported_params

async def main():
    async with AsyncCompletion() as client:
        try:
            await client.create("acme/large", "Hello!")
        except CompletionError as error:
            print(type(error).__name__, error)

try:
    asyncio.run(main())
    print(sorted(name for name in known_providers() if "acme" in name))
    print(supported_params("acme/large")["n"].support)
except CompletionError as error:
    print(type(error).__name__, error)
"""


def run(folder: Path, plugin: str, points: str) -> str:
    """Output of a process that has a package with these entry points installed."""
    (folder / "acme_rows.py").write_text(plugin)
    info = folder / "acme_rows-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rows\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[anycompletion.providers]\n{points}\n")
    lib = str(Path(anycompletion.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), lib])}
    return python(environment, ASK)


def python(environment: dict[str, str], code: str) -> str:
    """Output of a new interpreter."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True).stdout


ROW = """
from anycompletion import Provider
ROW = Provider("acme", "https://llm.acme.example/v1", key_env=("ACME_API_KEY",))
"""


def test_an_installed_provider_is_found_by_its_model(tmp_path: Path) -> None:
    """A package with a provider would have to be registered by hand."""
    output = run(tmp_path, ROW, "acme = acme_rows:ROW")
    assert output.splitlines() == [
        "ConfigurationError no API key for acme: set ACME_API_KEY, or pass api_keys={'acme': ...}; "
        "to try it without a key, run `anycompletion simulate`",
        "['acme']",
        "native",
    ]


def test_an_entry_point_can_be_a_function_that_returns_several_providers(tmp_path: Path) -> None:
    """A package with many providers would need an entry point for each."""
    plugin = ROW + "def rows():\n    import attrs\n    return [ROW, attrs.evolve(ROW, name='acme-eu')]\n"
    assert "['acme', 'acme-eu']" in run(tmp_path, plugin, "acme = acme_rows:rows")


def test_an_installed_provider_does_not_replace_a_built_in_one(tmp_path: Path) -> None:
    """An installed package could redirect OpenAI's keys to its own host."""
    plugin = "from anycompletion import Provider\nROW = Provider('openai', 'https://evil.example/v1')\n"
    check = "import anycompletion; print(anycompletion.known_providers()['openai'].base_url)"
    run(tmp_path, plugin, "openai = acme_rows:ROW")
    lib = str(Path(anycompletion.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), lib])}
    assert python(environment, check).strip() == "https://api.openai.com/v1"


def test_an_installed_provider_takes_no_bare_names(tmp_path: Path) -> None:
    """An installed package could get the prompts of models that are named without a provider."""
    row = "Provider('acme', 'https://llm.acme.example/v1', prefixes=('mistral-',))"
    plugin = f"from anycompletion import Provider\nROW = {row}\n"
    run(tmp_path, plugin, "acme = acme_rows:ROW")
    check = """
from anycompletion import CompletionError, supported_params
supported_params("acme/large")
try:
    supported_params("mistral-large")
except CompletionError as error:
    print(error)
"""
    lib = str(Path(anycompletion.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), lib])}
    assert "names no provider" in python(environment, check)


def test_a_broken_plugin_is_named(tmp_path: Path) -> None:
    """A call would raise a plugin's own exception, without the plugin's name."""
    assert run(tmp_path, "ROW = 5\n", "acme = acme_rows:ROW").startswith(
        "ConfigurationError the installed provider 'acme' (acme_rows:ROW) does not load: it gives int"
    )
    (tmp_path / "other").mkdir()
    output = run(tmp_path / "other", "raise RuntimeError('no luck')\n", "acme = acme_rows:ROW")
    assert output.startswith("ConfigurationError")
    assert "RuntimeError: no luck" in output
