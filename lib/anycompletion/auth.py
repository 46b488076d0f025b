"""Authentication of requests: checks keys and makes the headers that carry them; stores no key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import attrs

from ._value import Declaration
from .errors import ConfigurationError
from .http import HttpRequest
from .options import AWSCredentials, Secret
from .redaction import MaskedValue

_PLACEHOLDERS = frozenset({"none", "null", "your_api_key", "your-api-key"})
MAX_KEY = 8192
"""Characters of the longest key that is accepted."""


@attrs.frozen(eq=False, repr=False)
class Auth(Declaration):
    """Authentication scheme of a provider: the header for the key, and the text before the key in it."""

    header: str = "Authorization"
    """Header that has the key."""
    prefix: str = "Bearer "
    """Text before the key."""
    kind: Literal["header", "none", "aws_sigv4"] = "header"
    """Where the key is; "none" sends no key. With "aws_sigv4", `AWSCredentials` sign the request, and a text is sent as
    a key."""
    functions_give_tokens: bool = False
    """Whether an ``async () -> str`` returns a bearer token and not a key (Azure's Entra ID)."""
    service: str = ""
    """With "aws_sigv4": the name of the AWS service in signatures, such as ``bedrock``."""
    region: str = ""
    """With "aws_sigv4": the region of signatures where neither the base URL, the credentials nor the environment name
    one; "" for none."""
    credentials_env: tuple[str, ...] = ()
    """With "aws_sigv4": the environment variables of the access key's id, the secret access key and the session token;
    empty: credentials are not read from the environment."""


BEARER = Auth()
NO_AUTH = Auth(kind="none")


def header_key(name: str, *, functions_give_tokens: bool = False) -> Auth:
    """Scheme with the bare key in a header of its own (``x-api-key``, ``api-key``)."""
    return Auth(name, "", functions_give_tokens=functions_give_tokens)


def aws_sigv4(service: str) -> Auth:
    """Scheme of an AWS service: `AWSCredentials` sign each request; a key that is a text is sent as a bearer token."""
    variables = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return Auth(kind="aws_sigv4", service=service, credentials_env=variables)


def environment_credentials(scheme: Auth, environ: Mapping[str, str]) -> AWSCredentials | None:
    """The credentials for a scheme that signs requests, if the environment has them."""
    texts = [environ.get(name) or "" for name in scheme.credentials_env]
    return AWSCredentials(texts[0], texts[1], texts[2] or None) if texts and texts[0] and texts[1] else None


def check_secret(secret: object, scheme: Auth, provider: str, source: str = "") -> str | AWSCredentials:
    """A key as `check_key` returns it, or AWS credentials, if the scheme signs requests with them.

    Raises:
        ConfigurationError: it cannot be sent, or the scheme takes no credentials.
    """
    if not isinstance(secret, AWSCredentials):
        return check_key(MaskedValue(secret.reveal()) if isinstance(secret, Secret) else secret, provider, source)
    if scheme.kind != "aws_sigv4":
        raise ConfigurationError(
            f"AWSCredentials were given for {provider}, whose requests have a key and no signature", provider=provider
        )
    check_credentials(secret, provider, source)
    return secret


def check_credentials(credentials: Secret, provider: str, source: str = "") -> None:
    """Checks all texts of a `Secret` as `check_key` does.

    Raises:
        ConfigurationError: one of them cannot be sent.
    """
    is_key = not isinstance(credentials, AWSCredentials)
    names = ("API key",) if is_key else ("access key id", "secret access key", "session token")
    for name, text in zip(names, map(MaskedValue, credentials.reveal_all()), strict=False):
        check_key(text, provider, source, name)


def check_key(key: object, provider: str, source: str = "", what: str = "API key") -> str:
    """The key without surrounding white space (files end in newlines), if a header can carry it.

    Raises:
        ConfigurationError: a header cannot; the text states the length and the problem, never the key.
    """
    kind = type(key).__name__
    # The traceback of the error below has this frame, so no local may show the key.
    text = MaskedValue(key.strip()) if isinstance(key, str) else None
    del key
    problem = f"is no text but of type {kind}" if text is None else _problem(text)
    if problem is not None:
        where = f" ({source})" if source else ""
        raise ConfigurationError(f"the {what} for {provider}{where} {problem}", provider=provider)
    assert text is not None, "or there is a problem"
    return text


def _problem(text: str) -> str | None:
    if not text:
        return "is empty"
    if len(text) > MAX_KEY:
        return f"has {len(text)} characters, more than {MAX_KEY}"
    if text.lower() in _PLACEHOLDERS:
        return "is a placeholder"
    if text.isascii() and text.isprintable() and " " not in text:
        return None
    unexpected = next(filter(None, re.split(r"[\x21-\x7e]+", text)))
    return f"has {len(text)} characters, one of which is {_kind(unexpected)}"


def _kind(text: str) -> str:
    """The kind of the first character of `text`, which is no visible ASCII one."""
    if text[0].isspace():
        return "white space"
    return "a control character" if text[0] < "\x80" else "not ASCII"


def sign(scheme: Auth, request: HttpRequest, key: str | None, *, token: bool = False) -> dict[str, str]:
    """The headers that authenticate `request` with `key`.

    A bearer token is sent as one whatever the scheme is. `calls/key_headers.py` keeps these headers for other requests,
    because no scheme depends on `request`; those of a scheme that signs the request must not be kept.
    """
    if scheme.kind == "none" or key is None:
        return {}
    scheme = BEARER if token else scheme
    return {scheme.header: MaskedValue(scheme.prefix + key)}
