"""Content parts made of files: `image_part` and `file_part` put a file's bytes into a data URL."""

from __future__ import annotations

import base64
import os
from os import PathLike

from ..errors import InvalidRequestError
from .content_parts import FilePart, FileRef, ImagePart, ImageUrl

MAX_FILE_BYTES = 20 * 2**20
"""Bytes of the largest file that is read without `max_bytes`: about what providers take in one request."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
"""First bytes of a file → the media type of its image."""

_FTYP_BRANDS = {b"avif": "image/avif", b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif"}


def image_part(path: str | PathLike[str], *, detail: str | None = None, max_bytes: int = MAX_FILE_BYTES) -> ImagePart:
    """A content part with the image in a file, as a data URL. Reads the file now, which blocks until it is read.

    Args:
        path: a file with an image: PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF or HEIC, whatever its name is.
        detail: auto, low, high or original; default: the provider's.
        max_bytes: size limit of the file. Default 20 MiB.

    Raises:
        InvalidRequestError: the file is larger, empty, or not one of these images; or `path` is a URL or bytes, for
            which the text has what to write: ``ImagePart(ImageUrl(url))``.
        OSError: the file cannot be read.
    """
    data = _read(path, max_bytes)
    media_type = _image_type(data)
    if media_type is None:
        raise InvalidRequestError(f"{_shown(path)}: is no image of a known kind", param="path")
    return ImagePart(ImageUrl(_data_url(media_type, data), detail))


def file_part(path: str | PathLike[str], *, max_bytes: int = MAX_FILE_BYTES) -> FilePart:
    """A content part with a file, such as a PDF, as a data URL with its name. Reads the file now, as `image_part` does.

    Args:
        path: the file; the media type follows from its name.
        max_bytes: size limit of the file. Default 20 MiB.

    Raises:
        InvalidRequestError: the file is larger or empty; or `path` is a URL or bytes.
        OSError: the file cannot be read.
    """
    import mimetypes  # noqa: PLC0415 (2 ms, for programs that send files)

    data, name = _read(path, max_bytes), _shown(path)
    media_type = "application/pdf" if data[:5] == b"%PDF-" else mimetypes.guess_type(name)[0]
    return FilePart(FileRef(file_data=_data_url(media_type or "application/octet-stream", data), filename=name))


def _read(path: str | PathLike[str], max_bytes: int) -> bytes:
    _check_path(path)
    with open(path, "rb") as file:
        data = file.read(max_bytes + 1)  # one more than allowed, and never all of a file without an end
    if len(data) > max_bytes:
        raise InvalidRequestError(f"{_shown(path)}: has more than {max_bytes} bytes; raise max_bytes=", param="path")
    if not data:
        raise InvalidRequestError(f"{_shown(path)}: is empty", param="path")
    return data


def _check_path(path: object) -> None:
    """Raises with what to write where a URL, the bytes of a file or an open file is given for its path."""
    if isinstance(path, str) and path.lower().startswith(("http://", "https://", "data:")):
        hint = "write ImagePart(ImageUrl(url)), or for a file FilePart(FileRef(file_data=data_url, filename=name))"
        raise InvalidRequestError(f"path: expected a file's path, found a URL; {hint}", param="path")
    if isinstance(path, (str, os.PathLike)):
        return
    found = type(path).__name__
    hint = (
        "write the bytes to a file, or ImagePart(ImageUrl(f'data:image/png;base64,{base64.b64encode(data).decode()}'))"
    )
    if not isinstance(path, (bytes, bytearray, memoryview)):
        hint = "pass the path, such as file.name" if hasattr(path, "read") else "pass a str or a Path"
    raise InvalidRequestError(f"path: expected a file's path, found {found}; {hint}", param="path")


def _shown(path: str | PathLike[str]) -> str:
    name: str = os.path.basename(os.fspath(path))
    return name


def _image_type(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return _FTYP_BRANDS.get(data[8:12])
    return next((media_type for start, media_type in _SIGNATURES if data.startswith(start)), None)


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
