"""Tests of recordings as files: reading, invalid files, and real recordings where they are available."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from anycompletion.testing import Recording, load_folder

FILE: dict[str, Any] = {
    "id": "one",
    "provider": "openai",
    "api": "chat.completions",
    "streaming": True,
    "framing": "sse",
    "source": {"anything": "else"},
    "features": ["n>1"],
    "request": {
        "method": "POST",
        "url": "https://api.openai.com/v1/chat/completions",
        "headers": {"Content-Type": "application/json"},
        "body": {"model": "gpt-4o"},
    },
    "response": {
        "status": 200,
        "headers": {"X-Request-Id": "req_1"},
        "body_text": "data: é\n\n",
        "chunk_lengths": [4, 6],
    },
}


def write(folder: Path, name: str, **changes: Any) -> Path:
    """A recording's file."""
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**FILE, "id": path.stem, **changes}))
    return path


def test_all_members_of_a_file_are_read(tmp_path: Path) -> None:
    """A part of the exchange would be lost."""
    recording = Recording.load(write(tmp_path, "one"))
    assert (recording.id, recording.provider, recording.api) == ("one", "openai", "chat.completions")
    assert (recording.streaming, recording.framing, recording.status) == (True, "sse", 200)
    assert recording.headers == {"x-request-id": "req_1"}
    assert recording.body == "data: é\n\n".encode()
    assert recording.chunk_lengths == (4, 6)
    assert recording.features == ("n>1",)
    assert recording.request
    assert (recording.request.method, recording.request.url) == ("POST", FILE["request"]["url"])
    assert recording.request.headers == {"content-type": "application/json"}
    assert recording.request.body == {"model": "gpt-4o"}


def test_a_recording_needs_no_request(tmp_path: Path) -> None:
    """Recordings without a request, or without UTF-8, could not be used."""
    body = {"status": 500, "body_base64": base64.b64encode(b"\xff\x00").decode()}
    recording = Recording.load(write(tmp_path, "one", request=None, response=body))
    assert (recording.request, recording.body, recording.headers) == (None, b"\xff\x00", {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expecting"),
        ("[]", "JSON object"),
        ("{}", "'response' is missing"),
        (json.dumps({**FILE, "id": "a/b"}), "slashes"),
        (json.dumps({**FILE, "id": 5}), "iterable"),
        (json.dumps({**FILE, "response": {"status": 200}}), "'body_text' is missing"),
        (json.dumps({**FILE, "response": {**FILE["response"], "chunk_lengths": [1]}}), "add up to 1"),
        (json.dumps({**FILE, "response": {"status": 200, "body_base64": "!"}}), "ase64"),
    ],
)
def test_the_error_for_an_invalid_file_names_it(tmp_path: Path, content: str, message: str) -> None:
    """One invalid file among hundreds could not be found."""
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"broken\.json: no recording.*{message}"):
        Recording.load(path)


def test_a_folder_is_read_recursively_and_filtered(tmp_path: Path) -> None:
    """Recordings would be missing, or in a random order."""
    write(tmp_path, "sub/b")
    write(tmp_path, "a", provider="anthropic", api="messages")
    write(tmp_path, "c", api="responses")
    (tmp_path / "README.md").write_text("not a recording")
    assert [each.id for each in load_folder(tmp_path)] == ["a", "b", "c"]
    assert [each.id for each in load_folder(tmp_path, provider="openai")] == ["b", "c"]
    assert [each.id for each in load_folder(tmp_path, provider="openai", api="responses")] == ["c"]


def test_ids_are_unique(tmp_path: Path) -> None:
    """One recording would hide another."""
    write(tmp_path, "one/same")
    write(tmp_path, "two/same")
    with pytest.raises(ValueError, match="taken by"):
        load_folder(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """With a misspelt path every test of recordings would pass."""
    with pytest.raises(NotADirectoryError):
        load_folder(tmp_path / "nowhere")


@pytest.mark.traffic
def test_real_recordings_can_be_read() -> None:
    """The documented format would differ from the format in use."""
    folder = os.environ.get("ANYCOMPLETION_TRAFFIC")
    if not folder:
        pytest.skip("ANYCOMPLETION_TRAFFIC names no folder of recordings")
    recordings = load_folder(folder)
    assert recordings
    assert all(each.body or each.status != 200 for each in recordings)
