"""Descriptions of models, which Replicate's calls need first: what was fetched with one key is used with no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from anycompletion import AsyncCompletion, UnsupportedParameterError
from support.raw_server import REQUEST, RawServer, answer

OPERATORS, TENANTS = "r8_operators-key-0123456789", "r8_tenants-key-0123456789"
MODEL = "replicate/acme/llama"
OFFICIAL = "POST /v1/models/acme/llama/predictions HTTP/1.1"
"""The request that runs whatever version Replicate has made official."""


def described(version: str, *, official: bool, fields: tuple[str, ...] = ("prompt",)) -> bytes:
    """A model's description: the version to run, and the input fields that it has."""
    schemas = {"Input": {"properties": {name: {"type": "number"} for name in fields}}}
    latest = {"id": version * 64, "openapi_schema": {"components": {"schemas": schemas}}}
    return answer({"latest_version": latest, "is_official": official})


DONE = answer({"id": "p1", "status": "succeeded", "output": "Hello."}, 201)
HONEST = (REQUEST, described("a", official=True), REQUEST, DONE) * 3
FORGED = (REQUEST, described("e", official=False), REQUEST, DONE) * 3
NOT_FOUND = answer({"detail": "not found"}, 404)


@asynccontextmanager
async def client_of(server: RawServer, path: str = "") -> AsyncIterator[AsyncCompletion]:
    urls, keys = {"replicate": f"{server.url}{path}"}, {"replicate": OPERATORS}
    async with AsyncCompletion(base_urls=urls, api_keys=keys, max_retries=0) as client:
        yield client


async def tenants_key() -> str:
    return TENANTS


@pytest.mark.parametrize("key", [TENANTS, tenants_key, {"replicate": TENANTS}], ids=["text", "function", "by provider"])
@pytest.mark.parametrize("by_view", [False, True])
async def test_another_hosts_description_decides_nothing_here(by_view: bool, key: Any) -> None:
    """A tenant could have the operator's calls run a version of the tenant's own, with the prompts of others."""
    async with RawServer(HONEST) as honest, RawServer(FORGED) as forged, client_of(honest) as client:
        elsewhere: dict[str, Any] = {"base_url": forged.url, "api_key": key}
        if by_view:
            await client.with_options(**elsewhere).create(MODEL, "Hello!")
        else:
            await client.create(MODEL, "Hello!", **elsewhere)
        assert (await client.create(MODEL, "A secret.")).text == "Hello."
        assert [request.line for request in honest.requests] == ["GET /v1/models/acme/llama HTTP/1.1", OFFICIAL]
        assert forged.requests[1].line == "POST /v1/predictions HTTP/1.1"
        assert "A secret." not in repr(forged.requests)


@pytest.mark.parametrize("operators_first", [False, True])
async def test_a_private_models_description_is_for_its_own_key(operators_first: bool) -> None:
    """Another tenant could learn what a private model takes, or have its calls checked by it."""
    known = (REQUEST, described("a", official=True, fields=("prompt", "temperature")), REQUEST, DONE)
    unknown = (REQUEST, NOT_FOUND) * 3
    async with RawServer((*known, *unknown)) as server, client_of(server) as client:
        first, second = {"api_key": TENANTS}, {"api_key": "r8_another-tenants-0123456789"}
        if operators_first:
            first, second = {}, first
        await client.create(MODEL, "Hello!", temperature=0.5, **first)
        with pytest.raises(UnsupportedParameterError, match="its input schema could not be read"):
            await client.create(MODEL, "Hello!", temperature=0.5, **second)
        keys = [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]
        assert len(set(keys[:2])) == 1
        assert keys[2] not in keys[:2]


async def test_another_path_of_one_host_has_descriptions_of_its_own() -> None:
    """A gateway of many providers could have one of them describe the models of another."""
    script = (*FORGED[:4], *HONEST[:4])
    async with RawServer(script) as server, client_of(server, "/theirs") as client:
        await client.create(MODEL, "Hello!")
        await client.create(MODEL, "Hello!", base_url=f"{server.url}/ours", api_key=OPERATORS)
        lines = [request.line for request in server.requests]
        assert lines[1:] == [
            "POST /theirs/v1/predictions HTTP/1.1",
            "GET /ours/v1/models/acme/llama HTTP/1.1",
            OFFICIAL.replace(" /", " /ours/"),
        ]


async def test_a_description_is_fetched_once_for_one_key() -> None:
    """Every call would make two requests."""
    script = (REQUEST, described("a", official=True), REQUEST, DONE, REQUEST, DONE, REQUEST, DONE)
    async with RawServer(script) as server, client_of(server) as client:
        for caller in (client, client.with_options(timeout=9), client):
            await caller.create(MODEL, "Hello!")
        assert [request.line for request in server.requests[1:]] == [OFFICIAL] * 3


@pytest.mark.parametrize("version", ["../../../v1/account", "e" * 63, "g" * 64, "e" * 64 + "?x", 7, None])
async def test_a_version_of_another_form_is_not_run(version: Any) -> None:
    """A description could have something else run than a version of a model."""
    schemas = {"Input": {"properties": {"prompt": {"type": "string"}}}}
    latest = {"id": version, "openapi_schema": {"components": {"schemas": schemas}}}
    script = (REQUEST, answer({"latest_version": latest, "is_official": False}), REQUEST, DONE)
    async with RawServer(script) as server, client_of(server) as client:
        await client.create(MODEL, "Hello!")
        assert server.requests[1].line == OFFICIAL
        assert str(version).encode() not in server.requests[1].body
