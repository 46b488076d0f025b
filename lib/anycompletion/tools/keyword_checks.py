"""Checks of keywords of tools and runs: what was expected in place of a value; None where the value is right."""

from __future__ import annotations

import math
from typing import cast

from .._async import is_async_function


def at_least_one_problem(value: object) -> str | None:
    """What was expected in place of a value that is no number from 1."""
    return None if type(value) is int and value >= 1 else "a number of at least 1"


def flag_problem(value: object) -> str | None:
    """What was expected in place of a value that is neither True nor False."""
    return None if type(value) is bool else "True or False"


def seconds_problem(value: object) -> str | None:
    """What was expected in place of a value that is no limit of time, nor None."""
    if value is None:
        return None
    is_number = type(value) in (int, float)
    return None if is_number and math.isfinite(cast("float", value)) and cast("float", value) > 0 else "seconds above 0"


def function_problem(value: object) -> str | None:
    """What was expected in place of a value that is no function."""
    return None if callable(value) else "a function"


def plain_function_problem(value: object) -> str | None:
    """What was expected in place of a value that is no function, or an async one."""
    return None if callable(value) and not is_async_function(value) else "a plain function, which is not async"
