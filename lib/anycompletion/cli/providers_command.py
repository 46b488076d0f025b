"""`anycompletion providers`: a table of the providers; sends nothing and prints no key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from .. import Provider, known_providers
from .common import OK, key_variable, print_text, replace_controls

_KEY_IN_PATH = r"[A-Za-z0-9_=-]{16,}"


def providers() -> int:
    """Lists the providers: their wire format, their address, and whether their key is in the environment.

    A model is named provider/model. "missing" is followed by the environment variables of which one has to be set.
    """
    print_text("\n".join(_table(known_providers().values(), os.environ)), end="\n")
    return OK


def _table(rows: Iterable[Provider], environment: Mapping[str, str]) -> list[str]:
    """One line per provider, in columns."""
    lines = [("PROVIDER", "FORMAT", "BASE URL", "KEY")]
    lines += [
        (row.name, row.dialect, _base_url(row, environment), _key_state(row, environment))
        for row in sorted(rows, key=lambda row: row.name)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _key_state(row: Provider, environment: Mapping[str, str]) -> str:
    found = key_variable(row, environment)
    if found is not None:
        return f"found: {found}"
    names = [*row.token_env, *row.key_env, *filter(None, [" and ".join(row.auth.credentials_env[:2])])]
    return "none needed" if row.key_optional else f"missing: {' or '.join(names)}"


def _base_url(row: Provider, environment: Mapping[str, str]) -> str:
    found = next((environment[name] for name in row.base_url_env if environment.get(name)), None)
    if found is not None:
        return _without_secrets(found)
    return row.base_url or f"missing: {' or '.join((*row.base_url_env, '--base-url'))}"


def _without_secrets(url: str) -> str:
    """A URL of the environment without its user, password and query, and without a path that may contain a key."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "set, but no URL"
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    path = "/…" if re.search(_KEY_IN_PATH, parts.path) else parts.path
    return replace_controls(f"{parts.scheme}://{host}{port}{path}")
