"""The dialect `bedrock_converse`, assembled from the functions of this folder."""

from __future__ import annotations

import re

from ...codecs.aws_eventstream import AwsEventStreamParser
from ..base import Dialect, ModelListing, Target
from .decode import decode
from .encode import PATH, encode
from .errors import error
from .params import NAME, PARAMS
from .stream import decoder

_AWS_HOST = r"(https://bedrock)-runtime((-fips)?\.[a-z0-9-]+\.(amazonaws\.(com(\.cn)?|eu)|api\.aws))"


def _models_url(target: Target) -> str:
    """The list of models, which AWS has on a host of its own; the key goes to no host but AWS's and the given one."""
    aws = re.fullmatch(_AWS_HOST, target.base_url)
    return f"{aws[1]}{aws[2]}/foundation-models" if aws else f"{target.base_url}/foundation-models"


_MODELS = ModelListing(_models_url, items="modelSummaries", name=("modelId",))

DIALECT = Dialect(
    NAME,
    PARAMS,
    path=PATH,
    encode=encode,
    decode=decode,
    decoder=decoder,
    error=error,
    models=_MODELS,
    framing=AwsEventStreamParser,
)
