"""Requests signed for AWS: a provider without a format of its own, and botocore's check of what arrived."""

from __future__ import annotations

import re

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from anycompletion import AWSCredentials, EnvPlaceholder, Provider, aws_sigv4
from support.raw_server import Request

SIGNED = Provider(
    "signed",
    "https://runtime.{region}.example/v1",
    placeholders={
        "region": EnvPlaceholder(("AWS_REGION", "AWS_DEFAULT_REGION"), model_pattern="arn:aws:x:([a-z0-9-]+):")
    },
    key_env=("AWS_BEARER_TOKEN_SIGNED",),
    auth=aws_sigv4("bedrock"),
    allow_http=True,
)
"""A provider that takes AWS signatures, and speaks OpenAI's format."""

VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_BEARER_TOKEN_SIGNED",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_PROFILE",
)
"""Variables that tests of credentials set or remove."""


def scope_of(request: Request) -> str:
    """The scope of a request's signature: ``20150830/us-east-1/bedrock``."""
    found = re.search(r"Credential=[^/]+/(\d{8}/[^/]+/[^/]+)/aws4_request", request.headers["authorization"])
    assert found is not None, request.headers["authorization"]
    return found[1]


def botocore_signature(request: Request, credentials: AWSCredentials) -> str:
    """The signature that botocore makes for a request as it arrived, with its time and its signed headers."""
    authorization, (method, target, _) = request.headers["authorization"], request.line.split(" ")
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: request.headers[name] for name in names}
    signed = AWSRequest(method=method, url=f"http://{headers['host']}{target}", headers=headers, data=request.body)
    signed.context["timestamp"] = request.headers["x-amz-date"]
    _, region, service = scope_of(request).split("/")
    oracle = SigV4Auth(Credentials(*credentials.reveal_all()), service, region)
    text = oracle.string_to_sign(signed, oracle.canonical_request(signed))
    return str(oracle.signature(text, signed))


def has_valid_signature(request: Request, credentials: AWSCredentials) -> bool:
    """Whether AWS would accept the signature of a request as it arrived."""
    token = [*credentials.reveal_all(), None][2]
    return (
        request.headers["authorization"].rpartition("Signature=")[2] == botocore_signature(request, credentials)
        and request.headers.get("x-amz-security-token") == token
    )
