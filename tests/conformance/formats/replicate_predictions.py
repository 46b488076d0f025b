"""Replicate's predictions, whose replies take several requests; their tests are in `test_predictions`."""

from conformance.recorded_format import RecordedFormat

FORMAT = RecordedFormat(
    apis=("predictions.create", "predictions.get", "predictions.cancel"),
    recorded=35,
    row="replicate",
    one_response=False,
    ends=lambda _: [],
    has_content=lambda _: False,
)
