"""Content encodings under the names that servers use, and bodies that aiohttp leaves encoded."""

import gzip
import json
import tracemalloc
import zlib

import aiohttp
import pytest

from anycompletion import APIResponseError, AsyncCompletion, InternalServerError
from anycompletion.transport.content_encoding import encoding_of
from support.raw_server import END, REQUEST, RawServer, completion, head, piece

NAMES = {
    None: "",
    "": "",
    "identity": "",
    " Identity , ": "",
    "gzip": "gzip",
    "GZIP": "gzip",
    "x-gzip": "gzip",
    "X-GZip, identity": "gzip",
    "identity,deflate": "deflate",
    "gzip, gzip": "gzip, gzip",
    "br": "br",
    "gzip, br": "gzip, br",
}


@pytest.mark.parametrize("header", NAMES)
def test_an_encoding_has_one_name(header: str | None) -> None:
    """A body in an encoding that can be decoded would be refused for its spelling."""
    assert encoding_of(header) == NAMES[header]


TEXT = "Hello. " * 50_000
BODY = json.dumps(completion(TEXT)).encode()
ENCODED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "identity, deflate": zlib.compress(BODY, wbits=-15),
    "identity": BODY,
}


@pytest.mark.parametrize("decompress", [True, False])
@pytest.mark.parametrize("name", ENCODED)
async def test_a_callers_session_decodes_or_leaves_it_to_the_client(name: str, decompress: bool) -> None:
    """A session that leaves bodies as they are would make every compressed reply unreadable."""
    start = head(200, {"Content-Encoding": name, "Transfer-Encoding": "chunked"})
    data = ENCODED[name]
    pieces = [piece(data[at : at + 1000]) for at in range(0, len(data), 1000)]
    async with (
        RawServer((REQUEST, start, *pieces, END)) as server,
        aiohttp.ClientSession(auto_decompress=decompress) as session,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}, session=session) as client,
    ):
        assert (await client.create("openai/m", "Hi.")).text == TEXT


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "identity, gzip"])
@pytest.mark.parametrize("decompress", [True, False])
async def test_the_body_of_an_error_is_decoded(name: str, decompress: bool) -> None:
    """An error would lack the provider's message."""
    body = gzip.compress(b'{"error": {"message": "Oh.", "code": "c"}}')
    start = head(500, {"Content-Encoding": name, "Content-Length": str(len(body))})
    async with (
        RawServer((REQUEST, start, body)) as server,
        aiohttp.ClientSession(auto_decompress=decompress) as session,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}, session=session) as client,
    ):
        with pytest.raises(InternalServerError) as caught:
            await client.create("openai/m", "Hi.", max_retries=0)
        assert (caught.value.message, caught.value.code) == ("Oh.", "c")


@pytest.mark.parametrize("members", [1, 64])
async def test_a_decompression_bomb_is_refused(members: int) -> None:
    """A server could fill the memory with a few bytes."""
    bomb = gzip.compress(bytes(64 * 1024 * 1024 // members)) * members
    start = head(200, {"Content-Encoding": "x-gzip", "Content-Length": str(len(bomb))})
    tracemalloc.start()
    try:
        async with (
            RawServer((REQUEST, start, bomb)) as server,
            AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}) as client,
        ):
            with pytest.raises(APIResponseError, match="larger than this client accepts"):
                await client.create("openai/m", "Hi.")
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["x-gzip", "identity, gzip"])
async def test_a_stream_is_decoded_as_it_arrives(name: str) -> None:
    """A compressed stream would come at its end only, or not at all."""
    compressor = zlib.compressobj(wbits=31)
    chunks = [{"choices": [{"delta": {"content": text}}]} for text in ("Hel", "lo.")]
    chunks.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    pieces = [piece(compressor.compress(event) + compressor.flush(zlib.Z_SYNC_FLUSH)) for event in events]
    start = head(200, {"Content-Encoding": name, "Transfer-Encoding": "chunked", "Content-Type": "text/event-stream"})
    async with (
        RawServer((REQUEST, start, pieces[0], 0.2, *pieces[1:], piece(compressor.flush()), END)) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}) as client,
        client.stream("openai/m", "Hi.") as stream,
    ):
        assert (await anext(stream)).choices[0].delta.content == "Hel"
        assert server.steps < 4
        assert (await stream.get_final_completion()).text == "Hello."
