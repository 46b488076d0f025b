"""A server that replays Replicate's recorded predictions: each is created, then polled until it ends."""

import json
from typing import Any
from urllib.parse import urlsplit

import attrs
from aiohttp import web

from anycompletion.testing import RecordedRequest, Recording
from anycompletion.testing.recording.replay_server import Segmentation, segments
from anycompletion.testing.simulator.loopback import LoopbackServer

Facts = dict[str, Any]

_ORDER = {"starting": 0, "processing": 1}
"""Status → its order; all others are final."""


class PredictionServer(LoopbackServer):
    """Server that answers each request to ``/{group}/…`` with the next recording of that group."""

    def __init__(self, groups: dict[str, list[Recording]], segmentation: Segmentation) -> None:
        super().__init__(host="127.0.0.1", port=0)
        self._segmentation: Segmentation = segmentation
        self._groups = groups
        self._played = dict.fromkeys(groups, 0)

    def played(self, group: str) -> list[Recording]:
        """The recordings that were requested."""
        return self._groups[group][: self._played[group]]

    def _provider_of(self, path: str) -> str:
        return "replicate"

    async def _respond(self, request: web.Request, record: RecordedRequest) -> web.StreamResponse:
        group = record.path.split("/")[1]
        at = self._played[group]
        if at == len(self._groups[group]):
            return web.json_response({"detail": "there are no more recordings of this prediction"}, status=404)
        self._played[group] += 1
        recording = self._groups[group][at]
        headers = {name: recording.headers[name] for name in ("date", "x-request-id") if name in recording.headers}
        body = json.dumps(self._with_local_urls(json_of(recording), group)).encode()
        response = web.StreamResponse(status=recording.status, headers=headers)
        response.content_type = "application/json"
        await response.prepare(request)
        for piece in segments(attrs.evolve(recording, body=body, chunk_lengths=()), self._segmentation):
            await response.write(piece)
        return response

    def _with_local_urls(self, prediction: Facts, group: str) -> Facts:
        """The prediction with URLs of this server."""
        if "urls" not in prediction:
            return prediction
        urls = {name: f"{self.url}/{group}{urlsplit(url).path}" for name, url in prediction["urls"].items()}
        return {**prediction, "urls": urls}


def grouped(recordings: list[Recording]) -> dict[str, list[Recording]]:
    """Prediction → its recordings in order, for predictions whose creation was recorded."""
    groups: dict[str, list[Recording]] = {}
    for recording in recordings:
        groups.setdefault(recording.group or recording.id, []).append(recording)
    for group in groups.values():
        group.sort(key=lambda recording: (recording.api != "predictions.create", _age(recording)))
    return {name: group for name, group in groups.items() if group[0].api == "predictions.create"}


def _age(recording: Recording) -> tuple[int, int]:
    prediction = json_of(recording)
    return _ORDER.get(prediction.get("status", ""), 2), len(prediction.get("logs") or "")


def json_of(recording: Recording) -> Facts:
    """The JSON object of a recording."""
    value = json.loads(recording.body)
    assert isinstance(value, dict), "predictions and errors are objects"
    return value
