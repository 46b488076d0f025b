"""Recording what goes over the wire, without secrets, and playing it again."""

import base64
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from anycompletion import (
    APIStatusError,
    AsyncCompletion,
    BadRequestError,
    ChatCompletion,
    ChatCompletionChunk,
    ConfigurationError,
    Provider,
    RateLimitError,
    StreamInterruptedError,
)
from anycompletion.testing import (
    FakeProvider,
    Fault,
    Recorder,
    Recording,
    ReplayServer,
    SimulatorServer,
    load_folder,
)
from support.raw_server import REQUEST, RawServer, answer
from support.simulated import SIMULATED, WITH_FUNCTIONS

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


async def make_calls(client: AsyncCompletion, model: str) -> tuple[list[ChatCompletion], list[ChatCompletionChunk]]:
    """Calls with one choice, several choices, tools and a stream; the same each time."""
    replies = [
        await client.create(model, "What is salt?", temperature=0.5),
        await client.create(model, "What is salt?", temperature=0.5),
        await client.create(model, "What is pepper?", n=2),
    ]
    if model in WITH_FUNCTIONS:
        replies.append(await client.create(model, "Is it raining?", tools=TOOLS))
    async with client.stream(model, "What is cinnamon?") as stream:
        chunks = [chunk async for chunk in stream]
    return [*replies, await stream.get_final_completion()], chunks


def comparable(replies: Sequence[ChatCompletion | ChatCompletionChunk]) -> list[dict[str, Any]]:
    """The replies or chunks as JSON, without their times: those are of the responses where the provider sent none."""
    return [{name: value for name, value in reply.to_dict().items() if name != "created"} for reply in replies]


def files(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.rglob("*.json")]


@pytest.mark.parametrize("name", SIMULATED)
async def test_a_recording_replays_the_same_replies(name: str, tmp_path: Path) -> None:
    """An app's tests would get other completions or chunks than the provider sent."""
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(
            providers=[Recorder(tmp_path)], base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0
        ) as client,
    ):
        replies, chunks = await make_calls(client, SIMULATED[name])
    async with (
        SimulatorServer(replay=tmp_path) as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as client,
    ):
        again, chunks_again = await make_calls(client, SIMULATED[name])
    assert comparable(again) == comparable(replies)
    assert all(abs(one.created - other.created) < 60 for one, other in zip(again, replies, strict=True))
    assert comparable(chunks_again) == comparable(chunks)
    assert [reply.info.request_id for reply in again] == [reply.info.request_id for reply in replies]


@pytest.mark.parametrize("name", SIMULATED)
async def test_no_secret_gets_into_a_file(name: str, tmp_path: Path) -> None:
    """A key, a cookie, or an account's name would be committed to a repository."""
    recorder, row = Recorder(tmp_path), SIMULATED[name].partition("/")[0]
    async with (
        SimulatorServer(reply=f"Your key is simulated-{row}-key, or simulated-{row}-token") as sim,
        AsyncCompletion(providers=[recorder], base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
    ):
        extra = {"x-my-token": "very-secret-token-1234", "cookie": "session=abcdefgh1234"}
        extra["x-gateway"] = f"Basic {base64.b64encode(b'me:hunter2hunter2').decode()}"
        await client.create(
            SIMULATED[name], "Echo very-secret-token-1234 hunter2hunter2 sk-abcdefghij1234567890", extra_headers=extra
        )
        port = sim.url.rpartition(":")[2]
        await client.create(SIMULATED[name], "Hello", extra_query={"key": "secret-in-the-url"})
    written = files(tmp_path)
    assert len(written) >= 2
    secrets = [
        sim.api_keys[row],
        "very-secret",
        "hunter2",
        "abcdefgh1234",
        "sk-abcdefghij1234567890",
        "secret-in-the-url",
    ]
    for text in written:
        assert not [secret for secret in [*secrets, "simulated-organization", f":{port}"] if secret in text]
        headers = {*json.loads(text)["request"]["headers"], *json.loads(text)["response"]["headers"]}
        assert not [header for header in headers if header in ("authorization", "x-api-key", "api-key", "cookie")]


ODD_BODIES: dict[str, bytes] = {
    "Latin-1": "Schlüssel: {}".encode("latin-1"),
    "a stray byte before": b"\xff {}",
    "a stray byte after": b"{} \xfe",
    "UTF-16": "key {}".encode("utf-16"),
    "UTF-16, big-endian": "key {}".encode("utf-16-be"),
}


@pytest.mark.parametrize("body", ODD_BODIES)
async def test_no_key_gets_into_a_file_whatever_the_encoding(body: str, tmp_path: Path) -> None:
    """A gateway's page that repeats the key would be written as it came."""
    key = "sk-a-key-that-must-not-be-written"
    raw = ODD_BODIES[body]
    encoding = {"UTF-16": "utf-16-le", "UTF-16, big-endian": "utf-16-be"}.get(body, "ascii")
    echo = raw.replace("{}".encode(encoding), key.encode(encoding))
    assert echo != raw
    async with (
        RawServer((REQUEST, answer(echo, 500))) as server,
        AsyncCompletion(
            providers=[Recorder(tmp_path)],
            base_urls={"openai": server.url},
            api_keys={"openai": key},
            max_retries=0,
        ) as client,
    ):
        await client.attempt("openai/x", "Hi.")
    (recording,) = load_folder(tmp_path)
    assert key.encode(encoding) not in recording.body
    left = raw.replace("{}".encode(encoding), "***".encode(encoding))
    assert recording.body.replace(b" ", b"") == left.replace(b" ", b"")  # the space after "Bearer" is part of a header


def test_recordings_are_for_their_owner_only(tmp_path: Path) -> None:
    """Other users of the machine could read the prompts, or have a link followed."""
    victim = tmp_path / "victim"
    victim.write_text("important")
    file = tmp_path / "x.json"
    (tmp_path / "x.json.part").symlink_to(victim)
    Recording(id="x", provider="openai").save(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert victim.read_text() == "important"
    assert {path.name for path in tmp_path.iterdir()} == {"victim", "x.json", "x.json.part"}


async def test_private_hosts_are_not_recorded(tmp_path: Path) -> None:
    """A recording would name a company's gateway or Azure resource."""
    fake = FakeProvider("Hi", "Hi", "Hi", name="*")
    async with AsyncCompletion(
        providers=[fake, Recorder(tmp_path)],
        base_urls={"azure": "https://big-company.openai.azure.com", "openai": "https://gateway.big-company.example/v1"},
        api_keys=dict.fromkeys(("azure", "openai", "cohere"), "key-of-the-company"),
    ) as client:
        for model in ("azure/our-gpt", "openai/gpt-4o", "cohere/command-a"):
            assert (await client.create(model, "Hello")).text == "Hi"
    urls = {each.provider: each.request.url for each in load_folder(tmp_path) if each.request}
    assert urls["cohere"] == "https://api.cohere.com/v2/chat"
    assert urls["openai"] == "https://openai.invalid/v1/chat/completions"
    assert urls["azure"].startswith("https://azure.invalid/")
    assert not [text for text in files(tmp_path) if "big-company" in text]


async def test_file_names_depend_on_the_request_alone(tmp_path: Path) -> None:
    """Recording again would leave old files beside new ones, and would change all files in a commit."""
    names: list[list[str]] = []
    for folder in ("a", "b"):
        async with (
            SimulatorServer() as sim,
            AsyncCompletion(
                providers=[Recorder(tmp_path / folder)], base_urls=sim.base_urls, api_keys=sim.api_keys
            ) as client,
        ):
            for _ in range(2):
                await client.create("openai/gpt-4o", "Hello")
            await make_calls(client, "anthropic/claude-haiku-4-5")
        names.append(sorted(str(path.relative_to(tmp_path / folder)) for path in (tmp_path / folder).rglob("*.json")))
    assert names[0] == names[1]
    second, first = (name for name in names[0] if name.startswith("openai/"))
    assert first.startswith("openai/openai-chat-completions-gpt-4o-")
    assert second == first.removesuffix(".json") + "-002.json"


async def test_one_provider_can_be_recorded_alone(tmp_path: Path) -> None:
    """Traffic of other providers would be in the folder, or a misspelt name would record nothing."""
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(
            providers=[Recorder(tmp_path, name="cohere")], base_urls=sim.base_urls, api_keys=sim.api_keys
        ) as client,
    ):
        for model in SIMULATED.values():
            await client.create(model, "Hello")
    assert {each.provider for each in load_folder(tmp_path)} == {"cohere"}
    with pytest.raises(ConfigurationError, match="no provider is called 'coheer'"):
        AsyncCompletion(providers=[Recorder(tmp_path, name="coheer")])


async def test_errors_are_recorded_and_replayed(tmp_path: Path) -> None:
    """How an app handles a provider's error could not be replayed."""
    faults = [Fault.status(429, retry_after=0.01, times=1), Fault.named("context-length", times=1)]
    recorder = Recorder(tmp_path)
    async with (
        SimulatorServer(fault=faults) as sim,
        AsyncCompletion(providers=[recorder], base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
    ):
        with pytest.raises(RateLimitError) as limited:
            await client.create("openai/gpt-4o", "Hello", max_retries=0)
        with pytest.raises(BadRequestError) as refused:
            await client.create("openai/gpt-4o", "Hello, again")
    async with (
        SimulatorServer(replay=recorder.recordings) as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as client,
    ):
        for text, before in (("Hello", limited), ("Hello, again", refused)):
            with pytest.raises(APIStatusError) as caught:
                await client.create("openai/gpt-4o", text)
            assert type(caught.value) is type(before.value)
            assert caught.value.message == before.value.message


async def test_interrupted_responses_are_not_recorded(tmp_path: Path) -> None:
    """A partial stream would be replayed as if the provider had sent no more."""
    recorder = Recorder(tmp_path)
    async with (
        SimulatorServer(fault="close-after-3-events", reply="one two three") as sim,
        AsyncCompletion(providers=[recorder], base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as client,
    ):
        with pytest.raises(StreamInterruptedError):
            async with client.stream("openai/gpt-4o", "Hello") as stream:
                async for _ in stream:
                    pass
        sim.fault = ()
        async with client.stream("openai/gpt-4o", "Hello") as stream:
            async for _ in stream:
                break
    assert (recorder.recordings, files(tmp_path)) == ([], [])


async def test_a_fake_can_replace_recorded_providers(tmp_path: Path) -> None:
    """A fake would work only if it is given before the recorder."""
    recorder = Recorder(tmp_path)
    async with AsyncCompletion(providers=[recorder, FakeProvider("Hello!")]) as client:
        assert (await client.create("openai/gpt-4o", "Hi")).text == "Hello!"
    (recording,) = recorder.recordings
    assert b"Hello!" in recording.body


async def test_redact_is_applied_last(tmp_path: Path) -> None:
    """Secrets that only the app knows would be in the files."""
    recorder = Recorder(tmp_path, redact=lambda text: text.replace("Mr. Smith", "Mr. X"))
    async with AsyncCompletion(providers=[FakeProvider("Hello, Mr. Smith."), recorder]) as client:
        assert (await client.create("openai/gpt-4o", "I am Mr. Smith.")).text == "Hello, Mr. Smith."
    (recording,) = recorder.recordings
    assert recording.request is not None
    assert recording.request.body["messages"][0]["content"] == "I am Mr. X."
    assert b"Mr. X" in recording.body


async def test_the_lengths_of_reads_are_recorded(tmp_path: Path) -> None:
    """A replay could not have the original segmentation."""
    recorder = Recorder(tmp_path)
    async with (
        SimulatorServer(chunk_delay=0.01, reply="one two three") as sim,
        AsyncCompletion(providers=[recorder], base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
        client.stream("cohere/command-a", "Hello") as stream,
    ):
        texts = [text async for text in stream.text]
    (recording,) = recorder.recordings
    assert len(recording.chunk_lengths) > 1
    assert recording.path is not None
    assert Recording.load(recording.path) == recording
    async with (
        ReplayServer(tmp_path, segmentation="recorded") as server,
        AsyncCompletion(base_urls={"cohere": server.base_url(recording)}, api_keys={"cohere": "any-key"}) as client,
        client.stream("cohere/command-a", "Something else") as stream,
    ):
        assert [text async for text in stream.text] == texts


def test_any_body_is_preserved_in_a_file(tmp_path: Path) -> None:
    """A body that is not UTF-8, or has unusual line ends, would be changed."""
    for number, body in enumerate((b"\xff\xfe\x00", "é\r\n\u2028x".encode(), b"")):
        recording = Recording(id=f"r{number}", provider="openai", body=body, features=("odd",), group="g")
        recording.save(tmp_path / "one.json")
        assert Recording.load(tmp_path / "one.json") == recording
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]


# --- replaying -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def recorded(tmp_path: Path) -> Path:
    """A folder with recordings of two providers, one of which the simulator does not imitate."""
    acme = Provider("acme", "https://llm.acme.example/v1")
    fake = FakeProvider("first", "second", "other", ["one ", "two"], name="*")
    async with AsyncCompletion(providers=[acme, fake, Recorder(tmp_path)]) as client:
        for text in ("Hello", "Hello", "Bye"):
            await client.create("acme/large", text)
        async with client.stream("groq/x", "Hello") as stream:
            assert [text async for text in stream.text] == ["one ", "two"]
    return tmp_path


async def test_repeats_of_a_request_get_its_recordings_in_order(recorded: Path) -> None:
    """A repeated request would always get the first recording, or an error after the last one."""
    acme = Provider("acme", "https://llm.acme.example/v1")
    async with (
        SimulatorServer(replay=recorded) as sim,
        AsyncCompletion(
            providers=[acme], base_urls={"acme": sim.base_urls["acme"]}, api_keys={"acme": "k" * 8}
        ) as client,
    ):
        texts = [(await client.create("acme/large", text)).text for text in ("Hello", "Bye", "Hello", "Hello")]
    assert texts == ["first", "other", "second", "second"]


async def test_the_error_for_a_missing_recording_names_the_differences(recorded: Path) -> None:
    """A changed prompt would get a made-up reply, or an error without its cause."""
    async with (
        SimulatorServer(replay=recorded) as sim,
        AsyncCompletion(base_urls={"groq": sim.base_urls["groq"]}, api_keys=_keys(sim)) as client,
    ):
        async with client.stream("groq/x", "Hello") as stream:
            assert [text async for text in stream.text] == ["one ", "two"]
        with pytest.raises(BadRequestError, match=r"no recording answers POST .* of groq .* differs in .*messages"):
            await client.create("groq/x", "Hello, you")
        with pytest.raises(BadRequestError, match="there is none for that path; record it"):
            await client.create("openai/x", "Hello", base_url=sim.base_urls["openai"], api_key="any-key-will-do")


def _keys(sim: SimulatorServer) -> dict[str, str]:
    return {"groq": sim.api_keys["groq"]}


async def test_faults_and_delays_apply_to_replays(recorded: Path) -> None:
    """Faults and delays would only apply to simulated replies."""
    async with (
        SimulatorServer(replay=recorded, fault="cut-after-1-events", chunk_delay=0.001, latency=0.001) as sim,
        AsyncCompletion(base_urls={"groq": sim.base_urls["groq"]}, api_keys=_keys(sim), max_retries=0) as client,
    ):
        with pytest.raises(StreamInterruptedError):
            async with client.stream("groq/x", "Hello") as stream:
                async for _ in stream:
                    pass
        sim.fault = ("overloaded",)
        with pytest.raises(APIStatusError):
            await client.create("groq/x", "Hello")


@pytest.mark.traffic
async def test_real_traffic_is_replayed() -> None:
    """The simulator could only replay what this package recorded itself."""
    folder = os.environ.get("ANYCOMPLETION_TRAFFIC")
    if not folder:
        pytest.skip("ANYCOMPLETION_TRAFFIC names no folder of recordings")
    recordings = load_folder(folder, provider="anthropic", api="messages")
    pairs = [(each, each.request) for each in recordings if each.request and each.request.body][:30]
    assert pairs
    async with SimulatorServer(replay=recordings) as sim, aiohttp.ClientSession() as session:
        for recording, request in pairs:
            bodies = [each.body for each in recordings if each.request and each.request.body == request.body]
            async with session.post(f"{sim.base_urls['anthropic']}/v1/messages", json=request.body) as response:
                assert response.status == recording.status
                assert _lines(await response.read()) in map(_lines, bodies)


def _lines(body: bytes) -> list[bytes]:
    """The lines that are not blank; blank lines of recordings have no meaning."""
    return [line for line in body.splitlines() if line]


async def test_a_recording_has_the_name_of_the_api_that_was_asked(tmp_path: Path) -> None:
    """Responses would be taken for replies of the chat API."""
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(providers=[Recorder(tmp_path)], base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
    ):
        await client.create("openai/responses/gpt-5-mini", "Hi.")
        await client.create("openai/gpt-5-mini", "Hi.")
    assert sorted(json.loads(text)["api"] for text in files(tmp_path)) == ["chat.completions", "responses"]
