"""Tests of the simulated Replicate: every endpoint, every status of a prediction, and the real API's errors."""

import json
from typing import Any

import aiohttp
import pytest

from anycompletion.testing import Fault, SimulatorServer
from anycompletion.testing.formats.replicate_predictions.simulate import API_KEY, FORMAT
from anycompletion.testing.formats.wire_format import SimulatedRequest, WholeResponse

LLAMA = "meta/meta-llama-3-70b-instruct"
GPT = "openai/gpt-4.1"
VERSIONED = "lucataco/ollama-llama3.3-70b"
INPUT: dict[str, Any] = {"prompt": "Knock knock."}
PIECES = ["Who's", " there?", " (choice", " 0)"]
USUAL = {
    "prompt",
    "system_prompt",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "stop_sequences",
    "presence_penalty",
    "frequency_penalty",
}


class Replicate:
    """A minimal client of Replicate's HTTP API."""

    def __init__(self, sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
        self.sim, self.http = sim, http
        self.url = sim.base_urls["replicate"]
        self.headers = {"authorization": f"Bearer {sim.api_keys['replicate']}"}

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a GET; the path may be a whole URL."""
        url = path if path.startswith("http") else self.url + path
        async with self.http.get(url, headers=self.headers) as response:
            return response.status, await response.json(content_type=None)

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a POST; the path may be a whole URL."""
        url = path if path.startswith("http") else self.url + path
        async with self.http.post(url, json=body, headers={**self.headers, **headers}) as response:
            return response.status, await response.json(content_type=None)

    async def create(self, model: str = LLAMA, **headers: str) -> Any:
        """A prediction of an official model with a stream."""
        body = {"input": INPUT, "stream": True}
        status, prediction = await self.post(f"/v1/models/{model}/predictions", body, **headers)
        assert status == 201
        return prediction

    async def stream(self, url: str, **headers: str) -> str:
        """The body of a stream, requested without a token."""
        async with self.http.get(url, headers=headers) as response:
            assert (response.status, response.content_type) == (200, "text/event-stream")
            return (await response.read()).decode()


@pytest.fixture
def replicate(sim: SimulatorServer, http: aiohttp.ClientSession) -> Replicate:
    """Replicate's API on the simulator."""
    return Replicate(sim, http)


def events(body: str) -> list[tuple[str, str]]:
    """Name and data of each event; only the first space after a colon is not part of the data."""
    found: list[tuple[str, str]] = []
    for block in body.split("\n\n")[:-1]:
        fields = [line.split(": ", 1) for line in block.split("\n")]
        (name,) = (value for field, value in fields if field == "event")
        found.append((name, "\n".join(value for field, value in fields if field == "data")))
    return found


# --- models -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "official", "inputs"),
    [
        (LLAMA, True, USUAL),
        (VERSIONED, False, USUAL),
        (
            GPT,
            True,
            USUAL - {"max_tokens", "top_k", "seed", "stop_sequences"}
            | {"messages", "max_completion_tokens", "image_input"},
        ),
    ],
)
async def test_a_model_has_its_input_schema(replicate: Replicate, name: str, official: bool, inputs: set[str]) -> None:
    """A client could not find out a model's input from its schema."""
    status, model = await replicate.get(f"/v1/models/{name}")
    assert (status, f"{model['owner']}/{model['name']}", model["is_official"]) == (200, name, official)
    latest = model["latest_version"]
    assert latest["openapi_schema"]["components"]["schemas"]["Input"]["properties"].keys() == inputs
    assert len(latest["id"]) == 64
    assert await replicate.get(f"/v1/models/{name}/versions/{latest['id']}") == (200, latest)
    assert (await replicate.get(f"/v1/models/{name}/versions/{'0' * 64}"))[0] == 404


async def test_a_deployment_names_its_model(replicate: Replicate) -> None:
    """A client could not find the schema of a deployment."""
    status, deployment = await replicate.get("/v1/deployments/acme/our-llama")
    assert (status, deployment["owner"], deployment["name"]) == (200, "acme", "our-llama")
    release = deployment["current_release"]
    status, model = await replicate.get(f"/v1/models/{release['model']}")
    assert model["latest_version"]["id"] == release["version"]


# --- predictions --------------------------------------------------------------------------------------------------


async def test_a_prediction_starts_runs_and_succeeds(replicate: Replicate) -> None:
    """Polling could not be tested."""
    status, created = await replicate.post(f"/v1/models/{LLAMA}/predictions", {"input": INPUT})
    assert (status, created["status"], created["output"], created["input"]) == (201, "starting", None, INPUT)
    assert (created["model"], created["error"], "stream" in created["urls"]) == (LLAMA, None, False)
    assert "metrics" not in created
    url = created["urls"]["get"]
    assert url == f"{replicate.url}/v1/predictions/{created['id']}"
    _, running = await replicate.get(url)
    assert (running["status"], running["output"]) == ("processing", PIECES[:2])
    for _ in range(2):
        status, done = await replicate.get(url)
        assert (status, done["status"], done["output"]) == (200, "succeeded", PIECES)
    assert done["metrics"]["input_token_count"] == 2
    assert done["metrics"]["output_token_count"] == 4
    assert done["metrics"]["predict_time"]
    assert done["completed_at"] > done["started_at"] > done["created_at"]


@pytest.mark.parametrize("prefer", ["wait", "wait=5"])
async def test_a_request_that_waits_gets_the_output(replicate: Replicate, prefer: str) -> None:
    """A client that does not ask to wait would pass."""
    prediction = await replicate.create(prefer=prefer)
    assert (prediction["status"], prediction["output"]) == ("succeeded", PIECES)


async def test_a_wait_shorter_than_the_latency_gets_no_output(sim: SimulatorServer, replicate: Replicate) -> None:
    """Predictions that take longer than the wait could not be tested."""
    sim.latency = 1.01
    assert (await replicate.create(prefer="wait=1"))["status"] == "starting"


async def test_a_slow_prediction_is_not_done_after_the_wait(sim: SimulatorServer, replicate: Replicate) -> None:
    """A client that takes the response to its POST for the final one would pass."""
    prediction = await replicate.create(prefer="wait", **{"x-simulate": "slow-prediction"})
    statuses = [prediction["status"]]
    while statuses[-1] in ("starting", "processing"):
        statuses.append((await replicate.get(prediction["urls"]["get"]))[1]["status"])
    assert statuses == ["starting", "starting", "processing", "processing", "succeeded"]


@pytest.mark.parametrize("outcome", ["failed", "aborted", "canceled"])
@pytest.mark.parametrize("prefer", ["", "wait"])
async def test_a_prediction_can_fail(sim: SimulatorServer, replicate: Replicate, outcome: str, prefer: str) -> None:
    """Failed predictions with a successful HTTP status could not be tested."""
    sim.fault = Fault.named(f"{outcome}-prediction", times=1)
    prediction = await replicate.create(**({"prefer": prefer} if prefer else {}))
    for _ in range(3):
        status, found = await replicate.get(prediction["urls"]["get"])
        assert status == 200
    assert found["status"] == outcome
    assert (prediction["status"] == outcome) is bool(prefer)
    assert (found["output"], bool(found["error"])) == (None, outcome != "canceled")
    assert "output_token_count" not in found["metrics"]
    assert ("started_at" in found) is (outcome != "aborted")
    assert (await replicate.create(prefer="wait"))["status"] == "succeeded"


async def test_a_prediction_can_be_canceled(replicate: Replicate) -> None:
    """A client that leaves predictions running would pass."""
    prediction = await replicate.create()
    status, canceled = await replicate.post(prediction["urls"]["cancel"])
    assert (status, canceled["status"], canceled["output"]) == (200, "canceled", None)
    assert (await replicate.get(prediction["urls"]["get"]))[1]["status"] == "canceled"
    assert events(await replicate.stream(prediction["urls"]["stream"]))[-1] == ("done", '{"reason":"canceled"}')


async def test_a_finished_prediction_cannot_be_canceled(replicate: Replicate) -> None:
    """A late cancel would remove the output."""
    prediction = await replicate.create(prefer="wait")
    assert (await replicate.post(prediction["urls"]["cancel"]))[1]["status"] == "succeeded"


async def test_a_community_model_runs_by_version_only(replicate: Replicate) -> None:
    """A client that uses only the endpoint of official models would pass."""
    body = {"input": INPUT}
    assert (await replicate.post(f"/v1/models/{VERSIONED}/predictions", body))[0] == 404
    version = (await replicate.get(f"/v1/models/{VERSIONED}"))[1]["latest_version"]["id"]
    for given in (version, f"{VERSIONED}:{version}"):
        status, prediction = await replicate.post("/v1/predictions", {**body, "version": given}, prefer="wait")
        assert (status, prediction["model"], prediction["version"]) == (201, VERSIONED, version)
        assert "".join(prediction["output"]).startswith("Who's there?")


@pytest.mark.parametrize("version", ["a" * 64, LLAMA])
async def test_a_version_needs_no_look_up(replicate: Replicate, version: str) -> None:
    """A client with a version would have to request its model first."""
    status, prediction = await replicate.post("/v1/predictions", {"version": version, "input": INPUT})
    assert status == 201
    assert len(prediction["version"]) == 64


async def test_a_deployment_creates_predictions(replicate: Replicate) -> None:
    """Deployments could not be tested."""
    status, prediction = await replicate.post("/v1/deployments/acme/our-llama/predictions", {"input": INPUT})
    assert (status, prediction["deployment"]) == (201, "acme/our-llama")


async def test_a_conversation_model_returns_one_string(replicate: Replicate) -> None:
    """A client that supports only lists of strings, or only prompts, would pass."""
    messages = [
        {"role": "user", "content": "Knock knock."},
        {"role": "assistant", "content": "Who's there?"},
        {"role": "user", "content": [{"type": "text", "text": "Lettuce."}]},
    ]
    inputs = {"messages": messages, "max_completion_tokens": 2}
    status, prediction = await replicate.post(f"/v1/models/{GPT}/predictions", {"input": inputs}, prefer="wait")
    assert (status, prediction["output"]) == (201, "Lettuce who?")
    assert prediction["metrics"]["input_token_count"] == 5


@pytest.mark.parametrize(
    ("change", "text"),
    [({"max_tokens": 2}, "Who's there?"), ({"stop_sequences": "zzz,?"}, "Who's there"), ({"max_tokens": 1}, "Who's")],
)
async def test_limits_and_stop_sequences_cut_the_text(replicate: Replicate, change: Any, text: str) -> None:
    """A client that does not send a limit would pass."""
    body = {"input": {**INPUT, **change}}
    _, prediction = await replicate.post(f"/v1/models/{LLAMA}/predictions", body, prefer="wait")
    assert "".join(prediction["output"]) == text


async def test_a_repeated_request_gets_another_reply(replicate: Replicate) -> None:
    """The three requests for three choices would all get the same text."""
    texts = ["".join((await replicate.create(prefer="wait"))["output"]) for _ in range(3)]
    assert texts == [f"Who's there? (choice {choice})" for choice in range(3)]


# --- streams ------------------------------------------------------------------------------------------------------


async def test_a_stream_preserves_white_space(sim: SimulatorServer, replicate: Replicate) -> None:
    """A client that strips spaces, or reads only the last data line, would pass."""
    sim.reply = " Two\n\n  lines \u2028here"
    body = await replicate.stream((await replicate.create())["urls"]["stream"])
    assert "data:   lines\n" in body
    found = events(body)
    assert "".join(data for name, data in found if name == "output") == sim.reply
    assert found[-1] == ("done", "{}")
    assert body.count("\nid: ") == len(found)


async def test_a_prediction_is_done_after_its_stream(replicate: Replicate) -> None:
    """Token counts of a streamed reply could not be requested."""
    urls = (await replicate.create())["urls"]
    await replicate.stream(urls["stream"])
    _, prediction = await replicate.get(urls["get"])
    assert (prediction["status"], prediction["metrics"]["output_token_count"]) == ("succeeded", 4)


async def test_the_log_shows_whether_a_stream_request_had_a_token(sim: SimulatorServer, replicate: Replicate) -> None:
    """A token that is sent to the wrong host would not be noticed."""
    url = (await replicate.create())["urls"]["stream"]
    await replicate.stream(url)
    await replicate.stream(url, authorization="Bearer x")
    assert [(each.provider, each.has_key) for each in sim.requests] == [
        ("replicate", True),
        ("replicate", False),
        ("replicate", True),
    ]


@pytest.mark.parametrize(
    ("outcome", "pieces", "ends"),
    [
        ("failed", 2, [("error", {"detail": "Prediction failed: the model crashed. (simulated)"}), "error"]),
        ("canceled", 2, ["canceled"]),
        ("aborted", 0, ["canceled"]),
        ("slow", 4, [None]),
    ],
)
async def test_a_stream_reports_how_its_prediction_ended(
    replicate: Replicate, outcome: str, pieces: int, ends: list[Any]
) -> None:
    """The stream of a failed prediction would look complete."""
    prediction = await replicate.create(**{"x-simulate": f"{outcome}-prediction"})
    found = events(await replicate.stream(prediction["urls"]["stream"]))
    assert [name for name, _ in found[:pieces]] == ["output"] * pieces
    *errors, reason = ends
    assert [(name, json.loads(data)) for name, data in found[pieces:-1]] == errors
    assert (found[-1][0], json.loads(found[-1][1])) == ("done", {"reason": reason} if reason else {})
    _, after = await replicate.get(prediction["urls"]["get"])
    assert after["status"] == ("succeeded" if outcome == "slow" else outcome)


@pytest.mark.parametrize("header", [True, False])
async def test_a_stream_fault_applies_to_the_stream(sim: SimulatorServer, replicate: Replicate, header: bool) -> None:
    """A cut would apply to the request for the prediction, whose response has no events."""
    if not header:
        sim.fault = Fault.named("cut-after-2-events", times=1)
    assert (await replicate.get(f"/v1/models/{LLAMA}"))[0] == 200
    prediction = await replicate.create(**({"x-simulate": "cut-after-2-events"} if header else {}))
    found = events(await replicate.stream(prediction["urls"]["stream"]))
    assert found == [("output", "Who's"), ("output", " there?")]
    assert not sim.requests[-1].finished
    _, after = await replicate.get(prediction["urls"]["get"])
    assert (after["status"], after["output"]) == ("succeeded", PIECES)


async def test_an_error_in_a_stream_fails_the_prediction(sim: SimulatorServer, replicate: Replicate) -> None:
    """The stream and the prediction would report different outcomes."""
    sim.fault = "error-after-1-events"
    prediction = await replicate.create()
    found = events(await replicate.stream(prediction["urls"]["stream"]))
    assert [name for name, _ in found] == ["output", "error", "done"]
    assert json.loads(found[1][1])["detail"]
    assert (await replicate.get(prediction["urls"]["get"]))[1]["status"] == "failed"


@pytest.mark.parametrize("fault", ["no-done", "no-finish-reason"])
async def test_the_end_of_a_stream_can_be_omitted(sim: SimulatorServer, replicate: Replicate, fault: str) -> None:
    """A client that takes a stream without its end for a complete one would pass."""
    sim.fault = fault
    found = events(await replicate.stream((await replicate.create())["urls"]["stream"]))
    assert [name for name, _ in found] == ["output"] * 4


@pytest.mark.parametrize("step", ["model", "ask", "poll", "cancel", "stream"])
async def test_a_fault_applies_to_its_step_only(sim: SimulatorServer, replicate: Replicate, step: str) -> None:
    """An outage between the request and the last poll could not be simulated."""
    sim.fault = Fault.named("unavailable", step=step)
    statuses = {"model": (await replicate.get(f"/v1/models/{LLAMA}"))[0]}
    statuses["ask"], prediction = await replicate.post(
        f"/v1/models/{LLAMA}/predictions", {"input": INPUT, "stream": True}
    )
    if statuses["ask"] == 503:
        sim.fault = None
        prediction = await replicate.create()
    statuses["poll"] = (await replicate.get(prediction["urls"]["get"]))[0]
    statuses["cancel"] = (await replicate.post(prediction["urls"]["cancel"]))[0]
    statuses["stream"] = (await replicate.get(prediction["urls"]["stream"]))[0] if step == "stream" else 200
    assert [name for name, status in statuses.items() if status == 503] == [step]


# --- errors -------------------------------------------------------------------------------------------------------


def response_to(body: Any = None, *, path: str = f"/v1/models/{LLAMA}/predictions", **headers: str) -> Any:
    """The simulated response to a POST, without a server."""
    headers = {"authorization": f"Bearer {API_KEY}", **headers}
    return FORMAT.respond(SimulatedRequest(method="POST", path=path, headers=headers, body=body, uid="0" * 32, now=1.5))


def error_for(body: Any = None, **options: Any) -> dict[str, Any]:
    """The body of the error response to a POST."""
    response = response_to(body, **options)
    assert isinstance(response, WholeResponse)
    assert response.content_type == "application/problem+json"
    problem = json.loads(response.body)
    assert problem["status"] == response.status
    return problem


@pytest.mark.parametrize("scheme", ["Bearer", "Token"])
def test_a_token_is_required(scheme: str) -> None:
    """A client that does not send its token would pass, or one that uses the legacy scheme would not."""
    assert response_to({"input": INPUT}, authorization=f"{scheme} {API_KEY}").status == 201
    assert error_for({"input": INPUT}, authorization=f"{scheme} wrong")["status"] == 401
    assert error_for({"input": INPUT}, authorization="")["title"] == "Unauthenticated"


@pytest.mark.parametrize(
    "path",
    [
        "/predictions",
        "/v1/models/meta/no-such-model/predictions",
        "/v1/deployments/acme/no-such-model/predictions",
        "/v1/predictions/unknown/cancel",
        f"/v1/models/{LLAMA}",
    ],
)
def test_unknown_paths_and_models_are_not_found(path: str) -> None:
    """A wrong URL or an unknown model would pass."""
    assert error_for({"input": INPUT}, path=path)["status"] == 404


async def test_unknown_ids_are_not_found(replicate: Replicate) -> None:
    """A wrong id would get another prediction."""
    prediction = await replicate.create()
    token = prediction["urls"]["stream"].rpartition("/")[2]
    for path in (
        "/v1/predictions/unknown",
        f"/v1/predictions/{token}",
        f"/streams/{prediction['id']}",
        "/v1/models/no-such-model/x",
        "/v1/deployments/no-such-model/x",
        "/v1/models/no-such-model/x/versions/1",
    ):
        assert (await replicate.get(path))[0] == 404


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"stream": True}, "stream"),
    ({"messages": []}, "messages"),
    ({"max_new_tokens": 5}, "max_new_tokens"),
    ({"stop_sequences": ["a"]}, "stop_sequences"),
    ({"temperature": "hot"}, "temperature"),
    ({"temperature": 9}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"seed": None}, "seed"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": ["a"]}, "prompt"),
]


@pytest.mark.parametrize(("change", "field"), WRONG)
def test_the_input_is_validated_by_the_schema(change: dict[str, Any], field: str) -> None:
    """Requests that the real API rejects would pass."""
    problem = error_for({"input": {**INPUT, **change}})
    assert (problem["status"], problem["invalid_fields"][0]["field"]) == (422, f"input.{field}")
    assert problem["detail"].startswith(f"- input.{field}: ")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (None, {}),
        ({"input": "hello"}, {}),
        ({"input": INPUT, "stream": "yes"}, {}),
        ({"input": INPUT, "webhook": "http://example.com"}, {}),
        ({"input": INPUT}, {"prefer": "wait=61"}),
        ({"input": INPUT}, {"prefer": "respond-async"}),
    ],
)
def test_the_request_is_validated(body: Any, headers: dict[str, str]) -> None:
    """Malformed requests would pass, or raise in the simulator."""
    assert error_for(body, **headers)["status"] == 422


@pytest.mark.parametrize("version", [None, "abc", "A" * 64, "no-such-model/x", VERSIONED, f"{LLAMA}:{'0' * 64}", "a/"])
def test_the_version_is_validated(version: Any) -> None:
    """A client that sends a model's name as its version would pass."""
    assert error_for({"version": version, "input": INPUT}, path="/v1/predictions")["status"] == 422
