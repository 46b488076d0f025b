"""Refusals of the endpoint: errors about the request, raised where they are found."""

from __future__ import annotations

from typing import NoReturn

from .public_errors import PublicError


class RequestRefused(Exception):
    """Ends the handling of a request; `error` is its response."""

    def __init__(self, error: PublicError) -> None:
        super().__init__(error.message)
        self.error = error


def refuse(status: int, message: str, param: str | None = None, code: str | None = None, header: str = "") -> NoReturn:
    """Raises `RequestRefused` with an error that is about the request."""
    name, _, value = header.partition(": ")
    raise RequestRefused(
        PublicError(
            status=status,
            type="invalid_request_error",
            code=code,
            message=message,
            param=param,
            headers={name: value} if header else {},
        )
    )
