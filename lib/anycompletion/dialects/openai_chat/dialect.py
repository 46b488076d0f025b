"""The dialect `openai_chat`, assembled from the functions of this folder."""

from __future__ import annotations

import functools

from ...codecs.sse import MAX_MEDIA_EVENT, SSEParser
from ...records import ChatRequest
from ..base import Decoder, Dialect, ModelListing, Target
from ..openai_errors import error
from .decode import decode
from .encode import encode, models_url
from .params import NAME, PARAMS, PATH
from .quirks import Quirks


def _decoder(request: ChatRequest, target: Target) -> Decoder:
    from .stream import decoder  # noqa: PLC0415 (loaded at the first stream)

    return decoder(request, target)


DIALECT = Dialect(
    NAME,
    PARAMS,
    path=PATH,
    encode=encode,
    decode=decode,
    decoder=_decoder,
    error=error,
    models=ModelListing(models_url),
    framing=functools.partial(SSEParser, MAX_MEDIA_EVENT),
    quirks_type=Quirks,
)
