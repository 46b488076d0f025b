"""Recordings as files: what is read, what is refused, and the real ones where they are at hand."""

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


def test_a_file_is_read_whole(tmp_path: Path) -> None:
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


def test_an_answer_alone_is_a_recording(tmp_path: Path) -> None:
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
def test_a_file_that_is_no_recording_is_named(tmp_path: Path, content: str, message: str) -> None:
    """One broken file among hundreds could not be found."""
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"broken\.json: no recording.*{message}"):
        Recording.load(path)


def test_a_folder_is_read_with_its_folders_and_by_choice(tmp_path: Path) -> None:
    """Recordings would be missed, or come in another order tomorrow."""
    write(tmp_path, "sub/b")
    write(tmp_path, "a", provider="anthropic", api="messages")
    write(tmp_path, "c", api="responses")
    (tmp_path / "README.md").write_text("not a recording")
    assert [each.id for each in load_folder(tmp_path)] == ["a", "b", "c"]
    assert [each.id for each in load_folder(tmp_path, provider="openai")] == ["b", "c"]
    assert [each.id for each in load_folder(tmp_path, provider="openai", api="responses")] == ["c"]


def test_an_id_belongs_to_one_recording(tmp_path: Path) -> None:
    """One recording would hide another."""
    write(tmp_path, "one/same")
    write(tmp_path, "two/same")
    with pytest.raises(ValueError, match="taken by"):
        load_folder(tmp_path)


def test_a_folder_that_is_not_there_is_no_empty_folder(tmp_path: Path) -> None:
    """A misspelt path would make every test of recordings pass."""
    with pytest.raises(NotADirectoryError):
        load_folder(tmp_path / "nowhere")


@pytest.mark.traffic
def test_real_recordings_can_be_read() -> None:
    """The format in use would not be the format described."""
    folder = os.environ.get("ANYCOMPLETION_TRAFFIC")
    if not folder:
        pytest.skip("ANYCOMPLETION_TRAFFIC names no folder of recordings")
    recordings = load_folder(folder)
    assert recordings
    assert all(each.body or each.status != 200 for each in recordings)
