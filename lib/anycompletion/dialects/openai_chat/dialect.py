"""The dialect `openai_chat`, assembled from the functions of this folder."""

from __future__ import annotations

import functools

from ...codecs.sse import MAX_MEDIA_EVENT, SSEParser
from ..base import Dialect, ModelListing
from ..openai_errors import error
from .decode import decode
from .encode import encode, models_url
from .params import NAME, PARAMS, PATH
from .quirks import Quirks
from .stream import decoder

DIALECT = Dialect(
    NAME,
    PARAMS,
    path=PATH,
    encode=encode,
    decode=decode,
    decoder=decoder,
    error=error,
    models=ModelListing(models_url),
    framing=functools.partial(SSEParser, MAX_MEDIA_EVENT),
    quirks_type=Quirks,
)
