"""A server that plays recorded predictions of Replicate's: one is created, then asked after until it has ended."""

import json
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from anycompletion.testing import RecordedRequest, Recording
from anycompletion.testing.simulator.loopback import LoopbackServer

Facts = dict[str, Any]

_ORDER = {"starting": 0, "processing": 1}
"""Status → place in the life of a prediction; all others are its end."""


class PredictionServer(LoopbackServer):
    """Answers each call to ``/{group}/…`` with the next recording of that group, and the last one again and again."""

    def __init__(self, groups: dict[str, list[Recording]]) -> None:
        super().__init__(host="127.0.0.1", port=0)
        self._groups = groups
        self._played = dict.fromkeys(groups, 0)

    def played(self, group: str) -> list[Recording]:
        """The recordings that were asked for."""
        return self._groups[group][: self._played[group]]

    def _provider_of(self, path: str) -> str:
        return "replicate"

    async def _respond(self, request: web.Request, record: RecordedRequest) -> web.StreamResponse:
        group = record.path.split("/")[1]
        at = self._played[group]
        if at == len(self._groups[group]):
            return web.json_response({"detail": "there is no more of this prediction"}, status=404)
        self._played[group] += 1
        recording = self._groups[group][at]
        headers = {name: recording.headers[name] for name in ("date", "x-request-id") if name in recording.headers}
        body = json.dumps(self._here(told(recording), group))
        return web.Response(
            status=recording.status, headers=headers, content_type="application/json", body=body.encode()
        )

    def _here(self, prediction: Facts, group: str) -> Facts:
        """A prediction whose addresses are this server's."""
        if "urls" not in prediction:
            return prediction
        urls = {name: f"{self.url}/{group}{urlsplit(url).path}" for name, url in prediction["urls"].items()}
        return {**prediction, "urls": urls}


def grouped(recordings: list[Recording]) -> dict[str, list[Recording]]:
    """Task → its recordings, from the first to the last; what created nothing has no task."""
    groups: dict[str, list[Recording]] = {}
    for recording in recordings:
        groups.setdefault(recording.group or recording.id, []).append(recording)
    for group in groups.values():
        group.sort(key=lambda recording: (recording.api != "predictions.create", _age(recording)))
    return {name: group for name, group in groups.items() if group[0].api == "predictions.create"}


def _age(recording: Recording) -> tuple[int, int]:
    prediction = told(recording)
    return _ORDER.get(prediction.get("status", ""), 2), len(prediction.get("logs") or "")


def told(recording: Recording) -> Facts:
    """The JSON object that a recording holds."""
    value = json.loads(recording.body)
    assert isinstance(value, dict), "predictions and errors are objects"
    return value
