"""Signature Version 4: AWS's published vectors, botocore as an oracle, hosts, regions, errors about the clock."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Mapping
from pathlib import Path
from traceback import TracebackException
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from yarl import URL

from anycompletion import AWSCredentials
from anycompletion.redaction import MaskedValue
from anycompletion.sigv4 import (
    body_digest,
    canonical_request,
    clock_note,
    clock_offset,
    host_header,
    region_of,
    signature,
    signing_headers,
    string_to_sign,
)

SUITE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "support" / "vectors" / "aws_sigv4.json").read_text("utf-8")
)
"""AWS's published test vectors; the file names their source and licence."""

CASES: dict[str, dict[str, str]] = SUITE["cases"]
CREDENTIALS = AWSCredentials(SUITE["access_key_id"], SUITE["secret_access_key"])


def parsed(text: str) -> tuple[str, str, dict[str, str], str]:
    """Method, target, headers and body of a request of the suite; names in lower case, repeated headers joined."""
    head, _, body = text.partition("\n\n")
    line, *fields = re.sub(r"\n +", " ", head).split("\n")
    method, _, rest = line.partition(" ")
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        name = name.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return method, rest.removesuffix(" HTTP/1.1"), headers, body


@pytest.mark.parametrize("case", CASES)
def test_published_vectors(case: str) -> None:
    """AWS would refuse requests of this form."""
    texts = CASES[case]
    method, target, headers, body = parsed(texts["signed_request"])
    *_, names, digest = texts["canonical_request"].split("\n")
    signed = {name: headers[name] for name in names.split(";")}
    assert digest == body_digest(body.encode())
    url = f"https://{headers['host']}{target}"
    canonical = canonical_request(method, url, signed, digest)
    assert canonical == texts["canonical_request"]
    scope = f"20150830/{SUITE['region']}/{SUITE['service']}/aws4_request"
    text = string_to_sign(canonical, "20150830T123600Z", scope)
    assert text == texts["string_to_sign"]
    assert signature(text, CREDENTIALS, scope) == texts["signature"]


VANILLA = {"get-vanilla", "get-vanilla-query-order-key-case", "post-vanilla", "post-vanilla-query"}


@pytest.mark.parametrize("case", sorted(VANILLA | {"get-vanilla-with-session-token", "post-sts-header-before"}))
def test_published_vectors_as_headers(case: str) -> None:
    """The time, the token or the header with the signature would have another form than AWS's."""
    method, target, headers, body = parsed(CASES[case]["signed_request"])
    token = headers.get("x-amz-security-token")
    credentials = AWSCredentials(*CREDENTIALS.reveal_all(), *filter(None, [token]))
    url = f"https://{headers['host']}{target}"
    added = signing_headers(
        method,
        url,
        {},
        body_digest(body.encode()),
        credentials,
        region=SUITE["region"],
        service=SUITE["service"],
        now=SUITE["timestamp"],
    )
    assert {name.lower(): value for name, value in added.items()} == {
        name: value for name, value in headers.items() if name != "host"
    }


# --- botocore ---

MODELS = (
    "anthropic.claude-haiku-4-5-20251001-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0",
    "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:application-inference-profile/a1b2c3",
    "model with spaces",
    "modèle-é/☃",
    "a~b_c.d-e+f=g&h",
    "100%",
)
HOSTS = (
    "https://bedrock-runtime.us-east-1.amazonaws.com",
    "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
    "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
    "https://vpce-0a1b-2c3d.bedrock-runtime.eu-west-1.vpce.amazonaws.com",
    "http://127.0.0.1:8080",
    "https://gateway.example:8443/bedrock/v1",
    "http://[::1]:4566",
    "https://plain.example:443",
)
BODIES = (b"", b"{}", b'{"messages": []}', '{"é": "☃"}'.encode(), bytes(range(256)), b"x" * 70_000)
TOKENS = (None, "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEU=", "short")
HEADERS: tuple[Mapping[str, str], ...] = (
    {},
    {"Content-Type": "application/json"},
    {"content-type": "application/json", "X-Amz-Trace": "ENABLED"},
    {"Content-Type": "application/json", "X-Amz-Meta": "  a   b  ", "X-Amz-Date": "20000101T000000Z"},
)


def generated(seed: int) -> tuple[str, str, Mapping[str, str], bytes, AWSCredentials, str, str, int]:
    rng = random.Random(seed)  # noqa: S311 (the requests have to be reproducible, not secure)
    model = rng.choice(MODELS) if seed % 2 else "".join(rng.choices("-/:Aaé☃", k=9))
    safe = rng.choice(("", ":", ":/"))
    path = f"/model/{quote(model, safe=safe)}/{rng.choice(('converse', 'converse-stream'))}"
    query = rng.choice(("", "?" + urlencode({"b": "2", "a": "x/y", "": "z", "c": ""}), "?a=1&a=0&A=2"))
    credentials = AWSCredentials("AKIDEXAMPLE", f"secret/{rng.random()}+", rng.choice(TOKENS))
    region = rng.choice(("us-east-1", "eu-west-1", "us-gov-west-1"))
    service = rng.choice(("bedrock", "bedrock-mantle"))
    method = rng.choice(("POST", "GET"))
    url = rng.choice(HOSTS) + path + query
    return method, url, rng.choice(HEADERS), rng.choice(BODIES), credentials, region, service, rng.randrange(2**31)


def signed_by_botocore(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: AWSCredentials,
    region: str,
    service: str,
    now: int,
) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name.lower() != "x-amz-date"}
    request = AWSRequest(method=method, url=url, headers=kept, data=body)
    # What its `add_auth` does, but with the time from here.
    request.context["timestamp"] = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    oracle = SigV4Auth(Credentials(*credentials.reveal_all()), service, region)
    oracle._modify_request_before_signing(request)
    text = oracle.string_to_sign(request, oracle.canonical_request(request))
    oracle._inject_signature_to_request(request, oracle.signature(text, request))
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.score("generated requests signed as botocore signs them")
def test_500_generated_requests_are_signed_as_botocore_signs_them() -> None:
    """AWS would refuse some model ids, hosts, queries or bodies."""
    for seed in range(500):
        method, url, headers, body, credentials, region, service, now = request = generated(seed)
        added = signing_headers(
            method, url, headers, body_digest(body), credentials, region=region, service=service, now=now
        )
        oracle = signed_by_botocore(*request)
        ours = {name.lower(): value for name, value in added.items()}
        assert ours == {name: oracle[name] for name in ours}, (seed, url)
        assert ("x-amz-security-token" in oracle) == ("x-amz-security-token" in ours)


# --- parts ---


@pytest.mark.parametrize("url", [*HOSTS, "https://bücher.example:99", "https://host.example.:7/x", "http://x:80/"])
def test_the_signed_host_is_the_one_that_is_sent(url: str) -> None:
    """AWS would compare the signature with another ``Host`` and refuse every request."""
    encoded = url.encode("idna").decode() if not url.isascii() else url
    assert host_header(encoded) == URL(encoded, encoded=True).host_port_subcomponent


REGIONS = {
    "https://bedrock-runtime.us-east-1.amazonaws.com": "us-east-1",
    "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com": "us-gov-west-1",
    "https://bedrock-runtime.ap-southeast-2.api.aws/x": "ap-southeast-2",
    "https://bedrock-mantle.eu-central-1.api.aws/v1": "eu-central-1",
    "https://bedrock-runtime.cn-north-1.amazonaws.com.cn": "cn-north-1",
    "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu": "eusc-de-east-1",
    "https://vpce-0a1b-2c3d.bedrock-runtime.eu-west-1.vpce.amazonaws.com": "eu-west-1",
    "https://bedrock.amazonaws.com": "",
    "https://us-east-1.example": "",
    "https://bedrock-runtime.us-east-1.amazonaws.com.evil.example": "",
    "http://127.0.0.1:1": "",
    "": "",
}


@pytest.mark.parametrize("url", REGIONS)
def test_the_region_is_that_of_an_aws_host(url: str) -> None:
    """Requests would be signed for another region than the endpoint's."""
    assert region_of(url) == REGIONS[url]


def test_proxies_may_change_headers_that_are_not_signed() -> None:
    """A proxy that adds or changes a header would invalidate the signature."""
    headers = {"User-Agent": "x", "Accept": "y", "Content-Type": "application/json", "X-Amzn-Trace-Id": "1"}
    digest = body_digest(b"")
    added = signing_headers("POST", "https://x/", headers, digest, CREDENTIALS, region="r", service="s", now=0)
    assert "SignedHeaders=content-type;host;x-amz-date," in added["Authorization"]


def test_headers_of_a_signature_are_masked() -> None:
    """A dump of a traceback's locals would show a session token or a signature."""
    credentials = AWSCredentials("AKIDEXAMPLE", "secret", "token")
    added = signing_headers("POST", "https://x/", {}, body_digest(b""), credentials, region="r", service="s", now=0)
    assert isinstance(added["Authorization"], MaskedValue)
    assert isinstance(added["X-Amz-Security-Token"], MaskedValue)
    assert "token" not in repr(list(added.values()))


UNENCODABLE = "\ud800"
"""A text at which each step of signing fails."""

FAILING: dict[str, dict[str, Any]] = {
    "url": {"url": f"https://x/{UNENCODABLE}"},
    "method": {"method": UNENCODABLE},
    "region": {"region": UNENCODABLE},
    "headers": {"headers": {"x-amz-meta": UNENCODABLE}},
}


@pytest.mark.parametrize("case", FAILING)
def test_frames_of_a_failed_signature_show_no_secret(case: str) -> None:
    """A log with the locals of frames would show the secret access key, or a key that is made of it."""
    credentials = AWSCredentials("AKIDEXAMPLE", "marked/secret", "marked/token")
    given: dict[str, Any] = {"method": "POST", "url": "https://x/", "headers": {}, "region": "us-east-1"}
    given |= {"digest": body_digest(b""), "credentials": credentials, "service": "bedrock", "now": 0.0}
    with pytest.raises(UnicodeEncodeError) as caught:
        signing_headers(**given | FAILING[case])
    trace = caught.value.__traceback__
    assert trace is not None
    shown = "".join(TracebackException(UnicodeEncodeError, caught.value, trace, capture_locals=True).format())
    assert "credentials = " in shown
    assert [text for text in ("marked", "b'", 'b"', "AKIDEXAMPLE/") if text in shown.replace(repr(given), "")] == []


EXPIRED = "Signature expired: 20261130T100000Z is now earlier than 20261130T100500Z (20261130T101000Z - 5 min.)"
FUTURE = "Signature not yet current: 20261130T103000Z is still later than 20261130T102000Z"

CLOCKS: list[tuple[str | None, str, float | None, float | None]] = [
    ("InvalidSignatureException", EXPIRED, 1600.0, 600.0),
    ("InvalidSignatureException", FUTURE, 400.0, -600.0),
    (None, EXPIRED, 1030.0, 30.0),
    ("RequestTimeTooSkewed", "", 4000.0, 3000.0),
    ("RequestExpired", "", 4000.0, 3000.0),
    ("RequestTimeTooSkewedException", "", 4000.0, 3000.0),
    ("SignatureDoesNotMatch", "The request signature does not match", 1010.0, None),
    ("SignatureDoesNotMatch", "The request signature does not match", 2000.0, 1000.0),
    ("InvalidSignatureException", EXPIRED, None, None),
    ("ThrottlingException", "", 4000.0, None),
    (None, "", 4000.0, None),
]


@pytest.mark.parametrize(("code", "text", "server_time", "offset"), CLOCKS)
def test_errors_about_the_clock(code: str | None, text: str, server_time: float | None, offset: float | None) -> None:
    """A wrong clock would be reported as a wrong key, or a wrong key as a wrong clock."""
    assert clock_offset(code, text, server_time, 1000.0) == (None if offset is None else pytest.approx(offset))


def test_the_note_names_the_difference_and_the_time_of_the_server() -> None:
    """The user would not see which clock is wrong, and by how much."""
    assert clock_note(600.4, "D") == "this machine's clock is 600 s behind the server's, whose Date is D; set the clock"
    assert "is 30 s ahead of the server's" in clock_note(-30, "D")
