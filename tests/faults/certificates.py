"""Certificate authority of the tests, and TLS contexts of servers that are valid, or invalid in one way each."""

import datetime
import ssl
import warnings
from functools import cache

import trustme

_YEAR = datetime.timedelta(days=365)


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


@cache
def trusting() -> ssl.SSLContext:
    """A client's context that trusts this authority only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _authority().configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
    return context


def _serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    return context


@cache
def valid() -> ssl.SSLContext:
    """A server's context with a valid certificate."""
    return _serving(_authority().issue_cert("127.0.0.1"))


def of_an_unknown_authority() -> ssl.SSLContext:
    """A certificate of an authority that is not trusted."""
    return _serving(trustme.CA().issue_cert("127.0.0.1"))


def for_another_host() -> ssl.SSLContext:
    """A certificate for another host."""
    return _serving(_authority().issue_cert("elsewhere.test"))


def expired() -> ssl.SSLContext:
    """A certificate that is no longer valid."""
    now = datetime.datetime.now(datetime.UTC)
    return _serving(_authority().issue_cert("127.0.0.1", not_before=now - 2 * _YEAR, not_after=now - _YEAR))


def not_yet_valid() -> ssl.SSLContext:
    """A certificate that becomes valid next year."""
    now = datetime.datetime.now(datetime.UTC)
    return _serving(_authority().issue_cert("127.0.0.1", not_before=now + _YEAR, not_after=now + 2 * _YEAR))


def outdated() -> ssl.SSLContext:
    """A valid certificate over TLS 1.1, which no client should accept."""
    context = _serving(_authority().issue_cert("127.0.0.1"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):  # these versions are deprecated
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context
