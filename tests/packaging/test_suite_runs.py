"""Tests of the other ways to run the suite: with eager tasks, and with minimum versions."""

import subprocess
import sys

import pytest

from support.minimum_versions import minimum_versions

EAGER = """
import asyncio
from support.eager_tasks import start_tasks_eagerly

start_tasks_eagerly()
begun = []

async def begin():
    begun.append(True)

async def main():
    task = asyncio.create_task(begin())
    assert begun
    await task

asyncio.run(main())
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 has eager tasks")
def test_tasks_begin_when_they_are_made() -> None:
    """The suite would run with ordinary tasks although eager ones were asked for."""
    subprocess.run([sys.executable, "-c", f"import sys\nsys.path[:] = {sys.path!r}\n{EAGER}"], check=True, timeout=30)


def test_minimum_versions_are_those_of_the_package_and_its_extras() -> None:
    """A minimum would not be tested, or the tools of developers would be installed in old versions."""
    project = {
        "dependencies": ["a>=1.2"],
        "optional-dependencies": {"b": ["b-c[d]>=3,<4", "e>=1.3b0"], "test": ["f>=9"]},
    }
    assert list(minimum_versions({"project": project})) == ["a==1.2", "b-c[d]==3", "e==1.3b0"]


@pytest.mark.parametrize("requirement", ["a", "a>1", "a==1", "a>=1; sys_platform != 'win32'"])
def test_a_dependency_without_a_minimum_is_found(requirement: str) -> None:
    """A dependency whose oldest version is not known would be tested with the newest."""
    with pytest.raises(ValueError, match="no minimum version: a"):
        list(minimum_versions({"project": {"dependencies": [requirement]}}))
