"""A TLS server before the simulator, with certificates of an authority of its own; it can stand for Google Cloud.

It answers as ``localhost`` and, for programs in whose environment `google_environment` is, as Vertex AI's host and as
the server that gives access tokens for credentials.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp
import trustme
from aiohttp import web

from anycompletion.testing import SimulatorServer

VERTEX_HOST = "aiplatform.googleapis.com"
PROJECT = "our-project"
TOKEN = "ya29.a-token"

_RESOLVER = """\
import socket

_real = socket.getaddrinfo


def getaddrinfo(host, port, *arguments, **options):
    if host == {host!r}:
        return _real("127.0.0.1", {port}, *arguments, **options)
    return _real(host, port, *arguments, **options)


socket.getaddrinfo = getaddrinfo
"""
"""A sitecustomize.py that has Vertex AI's host lead here: a hosts file for one program, with a port."""

_VERTEX_FORMATS = {
    "/publishers/google/": ("vertex", "/vertex"),
    "/publishers/anthropic/": ("vertex-anthropic", "/vertex-anthropic"),
    "/endpoints/openapi/": ("openai", "/openai/v1"),
}
"""Part of Vertex AI's paths → the simulated provider, and where its paths begin."""


class Front(NamedTuple):
    """A running server."""

    port: int
    authority: bytes
    """The certificate of its authority, as PEM."""

    def tls_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """An environment whose base URLs lead here instead of to the simulator directly."""
        here = {
            name: f"https://localhost:{self.port}/{value.split('/', 3)[3]}"
            for name, value in environment.items()
            if name.endswith("_BASE_URL") and value.startswith("http://127.0.0.1:")
        }
        return {**environment, **here}

    def google_environment(self, environment: Mapping[str, str], folder: Path) -> dict[str, str]:
        """An environment in which Vertex AI's host leads here, and google-auth finds credentials; writes its files."""
        authority = folder / "company-ca.pem"
        authority.write_bytes(self.authority)
        credentials = {
            "type": "external_account_authorized_user",
            "audience": "//iam.googleapis.com/locations/global/workforcePools/our-pool/providers/our-provider",
            "client_id": "a-client",
            "client_secret": "the-clients-secret",
            "refresh_token": "a-refresh-token",
            "token_url": f"https://localhost:{self.port}/token",
        }
        (folder / "credentials.json").write_text(json.dumps(credentials), "utf-8")
        names = folder / "names"
        names.mkdir()
        (names / "sitecustomize.py").write_text(_RESOLVER.format(host=VERTEX_HOST, port=self.port), "utf-8")
        return {
            **environment,
            "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "credentials.json"),
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "SSL_CERT_FILE": str(authority),
            "REQUESTS_CA_BUNDLE": str(authority),
            "PYTHONPATH": f"{names}:{environment['PYTHONPATH']}",
        }


@contextlib.asynccontextmanager
async def tls_front(simulator: SimulatorServer) -> AsyncGenerator[Front]:
    """Serves what the simulator serves, over TLS."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert("localhost", VERTEX_HOST)
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]

    async def give_token(request: web.Request) -> web.Response:
        form = await request.post()
        assert form["refresh_token"] == "a-refresh-token"
        return web.json_response({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    async def forward(request: web.Request) -> web.Response:
        headers = {"Content-Type": request.headers["Content-Type"], **_keys(request)}
        path = request.path_qs
        if request.host == VERTEX_HOST:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}" or f"/projects/{PROJECT}/" not in path:
                raise web.HTTPUnauthorized
            provider, root = next(value for part, value in _VERTEX_FORMATS.items() if part in path)
            headers = {**headers, "Authorization": f"Bearer {simulator.api_keys[provider]}"}
            path = root + (path if provider != "openai" else f"/{path.partition('/openapi/')[2]}")
        async with session.post(simulator.url + path, headers=headers, data=await request.read()) as reply:
            return web.Response(status=reply.status, body=await reply.read(), content_type=reply.content_type)

    app = web.Application()
    app.add_routes([web.post("/token", give_token), web.post("/{path:.*}", forward)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    async with aiohttp.ClientSession() as session:
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            yield Front(runner.addresses[0][1], authority.cert_pem.bytes())
        finally:
            await runner.cleanup()


def _keys(request: web.Request) -> dict[str, str]:
    return {name: request.headers[name] for name in ("Authorization",) if name in request.headers}
