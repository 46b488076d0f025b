"""Tests of rules on the syntax tree: no yield inside a scope, a reason beside each exception, docstrings of tests."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = sorted((ROOT / "lib" / "anycompletion").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))

SCOPES = frozenset(
    {
        "CancelScope",
        "TaskGroup",
        "create_task_group",
        "fail_after",
        "fail_at",
        "move_on_after",
        "move_on_at",
        "open_nursery",
        "timeout",
        "timeout_at",
    }
)
"""Names of task groups, cancel scopes and timeouts in asyncio, anyio and trio.

A generator that yields inside one lets the caller's code run inside the scope, so that the scope cancels the wrong
code, or is exited in another task than it was entered in (PEP 789).
"""


# --- no yield inside a scope ---------------------------------------------------------------------------------------


def yields_in_scopes(source: str) -> list[int]:
    """Lines with a `yield` inside a `with` over one of `SCOPES`."""
    tree = ast.parse(source)
    named = {name for node in ast.walk(tree) for name in _scope_names(node)}
    return sorted(_yields(tree, named, inside=False))


def _scope_names(node: ast.AST) -> Iterator[str]:
    """Names that an assignment binds to a scope: ``scope = anyio.CancelScope()``."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and _is_scope(node.value, set()):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (ast.unparse(target) for target in targets)


def _is_scope(node: ast.expr | None, named: set[str]) -> bool:
    if isinstance(node, ast.NamedExpr):
        node = node.value
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2] in SCOPES
    return node is not None and ast.unparse(node) in named


def _yields(node: ast.AST, named: set[str], *, inside: bool) -> Iterator[int]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        inside = False
    elif isinstance(node, ast.With | ast.AsyncWith):
        inside = inside or any(_is_scope(item.context_expr, named) for item in node.items)
    elif isinstance(node, ast.Yield | ast.YieldFrom) and inside:
        yield node.lineno
    for child in ast.iter_child_nodes(node):
        yield from _yields(child, named, inside=inside)


IN_SCOPE = {
    "asyncio timeout": "async def f():\n    async with asyncio.timeout(1):\n        yield 1\n",
    "bare name": "async def f():\n    async with timeout_at(1):\n        yield 1\n",
    "renamed module": "async def f():\n    async with aio.TaskGroup() as tg:\n        yield 1\n",
    "anyio task group": "async def f():\n    async with anyio.create_task_group():\n        yield 1\n",
    "plain with": "async def f():\n    with anyio.move_on_after(1):\n        yield 1\n",
    "yield from": "def f():\n    with anyio.fail_after(1):\n        yield from g()\n",
    "second item": "async def f():\n    async with other() as x, asyncio.timeout(1):\n        yield 1\n",
    "deeper": "async def f():\n    async with asyncio.timeout(1):\n        x = [(yield 1)]\n",
    "assigned": "scope = anyio.CancelScope()\ndef f(): \n    with scope: yield 1\n",
    "attribute": "def f(self):\n    self.scope = anyio.CancelScope(); x = 1\n    with self.scope: yield 1\n",
    "walrus": "def f(self):\n    with (scope := anyio.CancelScope()):\n        yield 1\n",
}

OUT_OF_SCOPE = {
    "no scope": "async def f():\n    async with session.get(url):\n        yield 1\n",
    "after": "async def f():\n    async with asyncio.timeout(1):\n        x = 1\n    yield x\n",
    "inner function": "async def f():\n    async with asyncio.timeout(1):\n        def g():\n            yield 1\n",
    "attribute only": "def f(self):\n    with self.timeout:\n        yield 1\n",
}


@pytest.mark.parametrize("case", IN_SCOPE)
def test_a_yield_inside_a_scope_is_found(case: str) -> None:
    """A generator could yield inside a cancel scope unnoticed."""
    assert yields_in_scopes(IN_SCOPE[case]) == [3]


@pytest.mark.parametrize("case", OUT_OF_SCOPE)
def test_a_yield_outside_of_scopes_is_allowed(case: str) -> None:
    """Correct generators would be reported."""
    assert yields_in_scopes(OUT_OF_SCOPE[case]) == []


def test_no_generator_of_the_package_yields_inside_a_scope() -> None:
    """Breaking out of a loop over the package would cancel the caller's own task."""
    assert _report(LIBRARY, yields_in_scopes) == []


# --- reasons -----------------------------------------------------------------------------------------------------

_PRAGMA = re.compile(r"(noqa|type:\s*ignore|pyright:\s*ignore|pragma)\b(:\s*[\w, ]*\d)?(\[[^]]*\])?(:\s*no \w+)?")
"""Comment for a tool, which names what it turns off and not why."""


def lines_without_reason(source: str) -> list[int]:
    """Lines that break a rule without a reason in a comment on the same line or the line above."""
    comments = _reasons(source)
    return sorted(line for line in _exceptional(ast.parse(source)) if not {line, line - 1} & comments)


def _reasons(source: str) -> set[int]:
    """Lines with a comment other than one for a tool."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]
        for token in tokens
        if token.type == tokenize.COMMENT and re.search(r"[a-z]{2}", _PRAGMA.sub("", token.string))
    }


def _exceptional(node: ast.AST, *, in_function: bool = False) -> Iterator[int]:
    """Lines with `except Exception`, a bare `except`, `global`, or an import inside a function."""
    broad = isinstance(node, ast.ExceptHandler) and _is_broad(node)
    hidden = in_function and isinstance(node, ast.Import | ast.ImportFrom)
    if broad or hidden or isinstance(node, ast.Global):
        yield node.lineno  # type: ignore[attr-defined]  # all three kinds of nodes have one
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return
    in_function = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    for child in ast.iter_child_nodes(node):
        yield from _exceptional(child, in_function=in_function)


def _is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches all exceptions; one that cleans up after a BaseException and re-raises it does not."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {"" if kind is None else ast.unparse(kind) for kind in kinds}
    last = handler.body[-1]
    reraises = isinstance(last, ast.Raise) and last.exc is None
    return bool(names & {"", "Exception"}) or ("BaseException" in names and not reraises)


WITHOUT_REASON = {
    "except Exception": "try:\n    pass\nexcept Exception:\n    pass\n",
    "except BaseException": "try:\n    pass\nexcept BaseException as error:\n    pass\n",
    "bare except": "try:\n    pass\nexcept:\n    pass\n",
    "one of two": "try:\n    pass\nexcept (OSError, Exception):\n    pass\n",
    "global": "x = 1\ndef f():\n    global x\n    x = 2\n",
    "import in a function": "def f():\n    x = 1\n    import json\n",
    "from-import in a method": "class A:\n    async def f(self):\n        from json import dumps\n",
    "a pragma is no reason": "def f():\n\n    import json  # noqa: PLC0415\n",
    "pragmas are no reason": "try:\n    pass\nexcept Exception:  # noqa: BLE001, S110  # pragma: no cover\n    pass\n",
    "raised again": "try:\n    pass\nexcept Exception:\n    raise\n",
    "a comment two lines up": "# why\n\nimport_ = 1\n\ntry:\n    pass\nexcept Exception:\n    pass\n",
}

WITH_REASON = {
    "same line": "try:\n    pass\nexcept Exception:  # observers must not break the call\n    pass\n",
    "line above": "def f():\n    # An extra, which may be missing.\n    import json\n",
    "behind a pragma": "def f():\n    import json  # noqa: PLC0415 (an extra, which may be missing)\n",
    "narrow except": "try:\n    pass\nexcept (OSError, ValueError):\n    pass\n",
    "clean-up": "try:\n    pass\nexcept BaseException:\n    close()\n    raise\n",
    "import at the top": "import json\n",
    "for type checkers": "def f():\n    if TYPE_CHECKING:\n        import json\n",
}


@pytest.mark.parametrize("case", WITHOUT_REASON)
def test_an_exception_to_the_rules_without_reason_is_found(case: str) -> None:
    """A rule could be broken without a reason."""
    assert len(lines_without_reason(WITHOUT_REASON[case])) == 1


@pytest.mark.parametrize("case", WITH_REASON)
def test_code_with_a_reason_is_accepted(case: str) -> None:
    """Code that follows the rules, or that has a reason beside it, would be reported."""
    assert lines_without_reason(WITH_REASON[case]) == []


def test_exceptions_to_the_rules_in_the_package_have_reasons() -> None:
    """A broad except, a global or an import inside a function would have no reason beside it."""
    assert _report(LIBRARY, lines_without_reason) == []


# --- docstrings of tests -------------------------------------------------------------------------------------------


def tests_without_sentence(source: str) -> list[int]:
    """Lines of test functions whose docstring is not exactly one sentence."""
    functions = (
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return sorted(node.lineno for node in functions if node.name.startswith("test") and not _is_sentence(node))


tests_without_sentence.__test__ = False  # type: ignore[attr-defined]  # a checker, although its name begins like a test's


def _is_sentence(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    text = " ".join((ast.get_docstring(function) or "").split())
    return text.endswith(".") and not re.search(r"[a-z)`»\"]\. [A-Z]", text)


def test_missing_and_long_docstrings_are_found() -> None:
    """A test without a docstring, or with one of several sentences, would not be found."""
    source = '''
def test_without(): ...
def test_no_stop():
    """Something would break"""
async def test_long():
    """Something would break. Then more."""
class TestA:
    def test_inside(self): ...
def test_good():
    """A 1.5 s wait, e.g. of `a.b`, over
    two lines would be cut short."""
def helper(): ...
'''
    assert tests_without_sentence(source) == [2, 3, 5, 8]


def test_docstrings_of_tests_are_one_sentence() -> None:
    """A failing test would not state what its failure means."""
    assert _report(TESTS, tests_without_sentence) == []


def _report(paths: list[Path], check: Callable[[str], list[int]]) -> list[str]:
    return [f"{path.relative_to(ROOT)}:{line}" for path in paths for line in check(path.read_text("utf-8"))]
