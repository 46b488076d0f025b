"""Reads what the reference shows of a public name: its fields, members, signature, and the texts in the source."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Container, Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import attrs
import msgspec

REQUIRED = ""
"""Default of a field that has none."""

COMPUTED = "computed"
"""Default of a field that is made when the record is."""

_UNIT = re.compile(
    r"(?:^|^Maximum |\bin )(unix seconds|seconds|us dollars|bytes|tokens|requests|characters|retries)\b", re.I
)


_DEFAULT = re.compile(r"\s*\bDefault: (?:``)?([^.]*?)(?:``)?\.\s*")


class Field(NamedTuple):
    """A field of a record, an option of a call, or an attribute of an error."""

    name: str
    type: str
    default: str
    text: str
    keyword: bool = True

    @property
    def meaning(self) -> str:
        """The text without the default that it may contain."""
        text = _DEFAULT.sub(" ", self.text).strip()
        return text[:1].upper() + text[1:]

    @property
    def unit(self) -> str:
        """The unit of a number, which its text contains."""
        is_number = re.search(r"\b(int|float)\b", self.type) and "Mapping" not in self.type
        found = _UNIT.search(self.text) if is_number else None
        return found[1].lower().replace("us dollars", "US dollars").replace("unix", "Unix") if found else ""


class Member(NamedTuple):
    """A method or property of a class."""

    name: str
    kind: str
    signatures: tuple[str, ...]
    """With overloads, one for each; for a property, its type."""
    doc: str


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def _class_node(cls: type) -> ast.ClassDef | None:
    if not cls.__module__.startswith("anycompletion"):
        return None
    nodes = (node for node in ast.walk(_tree(cls.__module__)) if isinstance(node, ast.ClassDef))
    return next((node for node in nodes if node.name == cls.__name__), None)


def base_names(cls: type) -> list[str]:
    """Names of the base classes as the source has them; a TypedDict is a plain dict at run time."""
    node = _class_node(cls)
    return [base.id for base in node.bases if isinstance(base, ast.Name)] if node else []


def _texts(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Statements, each with the text that follows it."""
    for statement, after in pairwise([*body, ast.Pass()]):
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = str(after.value.value) if isinstance(after.value.value, str) else ""
        yield statement, text


@functools.cache
def annotated(cls: type) -> dict[str, tuple[str, str]]:
    """Annotated attribute → its type and text, base classes included."""
    found: dict[str, tuple[str, str]] = {}
    for base in reversed(cls.__mro__):
        node = _class_node(base)
        for statement, text in _texts(node.body) if node else ():
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                name = statement.target.id
                found[name] = (_type(statement.annotation), text or found.get(name, ("", ""))[1])
    return found


def _type(annotation: ast.expr | None) -> str:
    if annotation is None:
        return ""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation).replace("'", '"')


# --- fields -----------------------------------------------------------------------------------------------------------


def fields_of(cls: type) -> list[Field]:
    """The public fields of a record, struct, dict of options, or error; of other classes, annotated attributes."""
    if attrs.has(cls):
        shown = [(each.name, _attrs_default(each.default), each.kw_only) for each in attrs.fields(cls) if each.init]
    elif issubclass(cls, msgspec.Struct):
        shown = [(each.name, _struct_default(each), False) for each in msgspec.structs.fields(cls)]
    elif is_options(cls):
        node = _class_node(cls)
        shown = [(_name(each), REQUIRED, True) for each in node.body if _name(each)] if node else []
    else:
        return _attributes(cls)
    texts = annotated(cls)
    return [
        Field(name, texts[name][0], _default_in(texts[name][1]) or default, texts[name][1], keyword)
        for name, default, keyword in shown
        if not name.startswith("_")
    ]


def _default_in(text: str) -> str:
    found = _DEFAULT.search(text)
    return found[1] if found else ""


def is_options(cls: type) -> bool:
    """Whether a class is a dict of keyword arguments."""
    return hasattr(cls, "__total__")


def _attributes(cls: type) -> list[Field]:
    """Attributes that the constructor sets, with their types; of a class that is no error, those that have a text."""
    node = _class_node(cls)
    init = _init_of(node) if node else None
    if init is None:
        return []
    arguments = [*init.args.args, *init.args.kwonlyargs]
    types = {argument.arg: _type(argument.annotation) for argument in arguments}
    found: list[Field] = []
    for statement, text in _texts(init.body):
        if isinstance(statement, ast.Assign):
            target, given = statement.targets[0], ""
        elif isinstance(statement, ast.AnnAssign):
            target, given = statement.target, _type(statement.annotation)
        else:
            continue
        is_shown = text or issubclass(cls, BaseException)
        if isinstance(target, ast.Attribute) and not target.attr.startswith("_") and is_shown:
            found.append(Field(target.attr, given or types.get(target.attr, ""), REQUIRED, text))
    return found


def _init_of(node: ast.ClassDef) -> ast.FunctionDef | None:
    functions = (each for each in node.body if isinstance(each, ast.FunctionDef))
    return next((each for each in functions if each.name == "__init__"), None)


def _name(statement: ast.stmt) -> str:
    """The name that an annotation declares."""
    is_declared = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    return statement.target.id if is_declared else ""


def _attrs_default(default: Any) -> str:
    if default is attrs.NOTHING:
        return REQUIRED
    if isinstance(default, attrs.Factory):
        return _made_by(default.factory)
    return shown(default)


def _struct_default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        return shown(field.default)
    return REQUIRED if field.default_factory is msgspec.NODEFAULT else _made_by(field.default_factory)


def _made_by(factory: Callable[..., Any]) -> str:
    """Default that a factory makes; not called, because it may need an event loop."""
    made = getattr(factory, "__origin__", factory)
    if isinstance(made, type) and made.__module__.startswith("anycompletion"):
        return f"{made.__name__}()"
    if made.__module__.startswith("anycompletion.records"):
        return shown(made())
    return {dict: "{}", list: "[]", tuple: "()"}.get(made, COMPUTED)


def shown(value: Any) -> str:
    """A default as code."""
    if isinstance(value, float):
        return f"{value:g}"
    text = repr(value).replace("'", '"')
    return COMPUTED if len(text) > 60 or text.startswith("<") else text


# --- functions and members --------------------------------------------------------------------------------------------


def signatures(function: Callable[..., Any], name: str = "") -> tuple[str, ...]:
    """Source of a function's signature; of an overloaded one, of each overload."""
    plain = inspect.unwrap(getattr(function, "__func__", function))
    nodes = [
        node
        for node in ast.walk(_tree(plain.__module__))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == plain.__name__
    ]
    line = plain.__code__.co_firstlineno
    real = min(nodes, key=lambda node: abs(min([node.lineno, *(each.lineno for each in node.decorator_list)]) - line))
    of_class = plain.__qualname__.rpartition(".")[0]
    overloads = [
        node
        for node in nodes
        if any(ast.unparse(each) == "overload" for each in node.decorator_list) and node.lineno < real.lineno
    ]
    return tuple(_signature(node, name, bool(of_class)) for node in overloads or [real])


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, is_method: bool) -> str:
    """One line, or with many arguments one line for each."""
    arguments = node.args
    if is_method and arguments.args and arguments.args[0].arg in ("self", "cls"):
        arguments = ast.arguments(**{key: getattr(arguments, key) for key in arguments._fields})
        arguments.args = arguments.args[1:]
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        if isinstance(argument.annotation, ast.Constant) and isinstance(argument.annotation.value, str):
            argument.annotation = ast.parse(argument.annotation.value, mode="eval").body
    returns = f" -> {_type(node.returns)}" if node.returns else ""
    start = "async def " if isinstance(node, ast.AsyncFunctionDef) else "def "
    parts = [_spaced(part) for part in _parts(ast.unparse(arguments).replace("'", '"'))]
    one_line = f"{start}{name or node.name}({', '.join(parts)}){returns}"
    if len(one_line) <= 100:
        return one_line
    return "\n".join([f"{start}{name or node.name}(", *(f"    {part}," for part in parts), f"){returns}"])


def _parts(text: str) -> list[str]:
    """Arguments, split at the commas outside of brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _spaced(part: str) -> str:
    """An argument with spaces around the sign before its default, if it has a type."""
    name, colon, rest = part.partition(": ")
    return f"{name}{colon}{' = '.join(rest.rsplit('=', 1))}" if colon else part


def constructor(cls: type) -> str:
    """Signature of a class that is no record."""
    node = _class_node(cls)
    function = _init_of(node) if node else None
    if function is None:
        return ""
    function = ast.FunctionDef(**{key: getattr(function, key, None) for key in function._fields})
    function.returns = None
    return _signature(function, cls.__name__, True).replace("def ", "", 1)


def members_of(cls: type, public: Container[type]) -> list[Member]:
    """Public methods and properties, those of base classes included that are not public themselves."""
    found: dict[str, Member] = {}
    for base in cls.__mro__:
        if base is not cls and base in public:
            break
        if base.__module__.startswith("anycompletion"):
            for name, value in base.__dict__.items():
                if not name.startswith("_") and name not in found and (member := _member(name, value)):
                    found[name] = member
    return list(found.values())


def _member(name: str, value: Any) -> Member | None:
    if isinstance(value, property):
        node = signatures(value.fget or value)[0]
        return Member(name, "property", (node.rpartition(" -> ")[2],), inspect.getdoc(value) or "")
    if isinstance(value, classmethod | staticmethod):
        kind = "class method" if isinstance(value, classmethod) else "static method"
        return Member(name, kind, signatures(value), inspect.getdoc(value.__func__) or "")
    if inspect.isfunction(value):
        return Member(name, "method", signatures(value), inspect.getdoc(value) or "")
    return None


# --- aliases and constants --------------------------------------------------------------------------------------------


@functools.cache
def assigned(package: str) -> dict[str, tuple[str, str]]:
    """Name assigned at the top of a module of a package → the source of its value, and its text."""
    found: dict[str, tuple[str, str]] = {}
    for module in _modules(package):
        for statement, text in _texts(_tree(module).body):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                value = statement.value
                source = _type(value) if value is not None else ""
                found.setdefault(statement.target.id, (source, text))
    return found


def _modules(package: str) -> Iterator[str]:
    root: ModuleType = importlib.import_module(package)
    yield package
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not info.name.endswith("__main__"):
            yield info.name
