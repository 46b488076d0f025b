"""Arguments of calls, out of the JSON that a model wrote."""

from __future__ import annotations

from typing import Any, Protocol

from ..structured.partial import PlainData
from ..structured.reading import SupportsDecode, read_value
from ..structured.types import ValueMismatch
from .tool_errors import ArgumentMismatch, ToolError


class ParsedArguments:
    """The arguments of one call, read and checked.

    Args:
        text: the JSON that the model wrote.
        values: by name, as the function takes them.
    """

    __slots__ = ("_text", "values")

    def __init__(self, text: str, values: dict[str, Any]) -> None:
        self._text = text
        self.values = values

    @property
    def plain(self) -> dict[str, Any]:
        """The arguments as plain JSON data, read anew each time."""
        return read_plain(self._text)

    def __repr__(self) -> str:
        return f"<ParsedArguments: {', '.join(self.values)}>"  # without the values, which may be confidential


class ArgumentReader(Protocol):
    """What reads the arguments of a tool."""

    def __call__(self, text: str) -> ParsedArguments:
        """The arguments in a model's JSON.

        Raises:
            ArgumentMismatch: they do not fit.
        """
        ...


_PLAIN = PlainData(is_wrapped=False)


def read_plain(text: str) -> dict[str, Any]:
    """The arguments in a model's JSON as plain data.

    Raises:
        ArgumentMismatch: the text is no JSON object.
    """
    return read_as(text, _PLAIN)


def read_as(text: str, plan: SupportsDecode[dict[str, Any]]) -> dict[str, Any]:
    """The arguments in a text; an empty one stands for an empty object.

    Raises:
        ArgumentMismatch: they do not fit.
    """
    try:
        return read_value(text if text.strip() else "{}", plan, "tool", [])
    except ValueMismatch as error:
        # The text of a constructor's exception may quote anything; the model gets that of a ToolError, and no other.
        expected = "another value: this one was refused" if error.kind == "value" else error.expected
        mismatch, cause = ArgumentMismatch(error.path, expected), error.__cause__ or error
    except ToolError as error:
        mismatch, cause = ArgumentMismatch("$", str(error)), error
    except Exception as error:  # noqa: BLE001 (constructors of the parameters' types may raise anything)
        mismatch, cause = ArgumentMismatch("$", "other values: these were refused"), error
    raise mismatch from cause
