"""OpenAI's responses that run in the background, and the requests about them; tested in `test_background`."""

from conformance.formats.openai_responses import is_running
from conformance.recorded_format import RecordedFormat

FORMAT = RecordedFormat(
    apis=("responses", "responses.get", "responses.cancel", "responses.delete"),
    takes=lambda recording: recording.api != "responses" or is_running(recording),
    recorded=4,
    row="openai",
    one_response=False,
    ends=lambda data: [],
    has_content=lambda data: False,
)
