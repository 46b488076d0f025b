"""Content parts made of files: media types, names, sizes, and what is refused."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import pytest

from anycompletion import FilePart, ImagePart, InvalidRequestError, UserMessage, file_part, image_part
from anycompletion.records.file_parts import MAX_FILE_BYTES
from anycompletion.validation.message_input import parse_messages

IMAGES = {
    "image/png": b"\x89PNG\r\n\x1a\n\x00",
    "image/jpeg": b"\xff\xd8\xff\xe0\x00",
    "image/gif": b"GIF89a\x00",
    "image/webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "image/bmp": b"BM\x00\x00",
    "image/tiff": b"II*\x00\x00",
    "image/avif": b"\x00\x00\x00\x1cftypavif\x00",
    "image/heic": b"\x00\x00\x00\x18ftypheic\x00",
}


def _decoded(url: str) -> tuple[str, bytes]:
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), base64.b64decode(data)


@pytest.mark.parametrize("media_type", IMAGES)
def test_an_image_has_the_type_of_its_bytes(media_type: str, tmp_path: Path) -> None:
    """A provider would refuse an image whose name has another ending than its kind."""
    path = tmp_path / "picture.dat"
    path.write_bytes(IMAGES[media_type])
    part = image_part(path, detail="low")
    assert isinstance(part, ImagePart)
    assert _decoded(part.image_url.url) == (media_type, IMAGES[media_type])
    assert part.image_url.detail == "low"
    assert image_part(str(path)).image_url.detail is None
    assert parse_messages([UserMessage([part])]) == [UserMessage([part])]


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("report.pdf", b"%PDF-1.7", "application/pdf"),
        ("report", b"%PDF-1.7", "application/pdf"),
        ("notes.txt", b"x", "text/plain"),
        ("x.of-tomorrow", b"x", "application/octet-stream"),
    ],
)
def test_a_file_has_its_name_and_a_media_type(name: str, data: bytes, media_type: str, tmp_path: Path) -> None:
    """A provider could not tell what kind of file it got."""
    (tmp_path / name).write_bytes(data)
    part = file_part(tmp_path / name)
    assert isinstance(part, FilePart)
    assert part.file.filename == name
    assert part.file.file_data is not None
    assert _decoded(part.file.file_data) == (media_type, data)
    assert parse_messages([UserMessage([part])]) == [UserMessage([part])]


@pytest.mark.parametrize("make", [image_part, file_part])
def test_a_file_above_the_limit_is_refused_without_being_read_whole(make: Any, tmp_path: Path) -> None:
    """A wrong path, such as a disk image's, would fill the memory, or a request be refused after it was sent."""
    path = tmp_path / "picture.png"
    path.write_bytes(IMAGES["image/png"])
    assert make(path, max_bytes=9)
    with pytest.raises(InvalidRequestError, match=r"^picture\.png: has more than 8 bytes"):
        make(path, max_bytes=8)
    with open(path, "r+b") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(InvalidRequestError, match="more than 20971520 bytes"):
        make(path)
    if os.path.exists("/dev/zero"):
        with pytest.raises(InvalidRequestError, match="more than 5 bytes"):
            make("/dev/zero", max_bytes=5)


@pytest.mark.parametrize("make", [image_part, file_part])
def test_an_empty_or_missing_file_is_refused(make: Any, tmp_path: Path) -> None:
    """A request without the file would be sent."""
    (tmp_path / "empty.png").touch()
    with pytest.raises(InvalidRequestError, match=r"^empty\.png: is empty$"):
        make(tmp_path / "empty.png")
    with pytest.raises(FileNotFoundError):
        make(tmp_path / "missing.png")


def test_a_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    """A provider would get a text as an image."""
    (tmp_path / "a.png").write_text("a text")
    with pytest.raises(InvalidRequestError, match=r"^a\.png: is no image"):
        image_part(tmp_path / "a.png")


@pytest.mark.parametrize("make", [image_part, file_part])
@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("https://x.example/a.png", r"found a URL; write ImagePart\(ImageUrl\(url\)\)"),
        ("HTTP://x.example/a.png", r"found a URL; write"),
        ("data:image/png;base64,AA==", r"found a URL; write .*FilePart\(FileRef\(file_data=data_url"),
        (IMAGES["image/png"], r"found bytes; .*ImagePart\(ImageUrl\(f'data:image/png;base64,"),
        (bytearray(b"x"), "found bytearray; "),
        (io.BytesIO(b"x"), r"found BytesIO; pass the path, such as file\.name"),
        (5, "found int; pass a str or a Path"),
        (None, "found NoneType; pass a str or a Path"),
    ],
)
def test_what_is_no_path_is_refused_with_what_to_write(make: Any, given: Any, text: str) -> None:
    """A URL would be a missing file, bytes would be a path, and a number the descriptor of an open file."""
    with pytest.raises(InvalidRequestError, match=f"^path: expected a file's path, {text}") as caught:
        make(given)
    assert caught.value.param == "path"
