"""The Cyclopts application with all commands; needs the extra ``cli``."""

from __future__ import annotations

from cyclopts import App

from .. import __version__
from .batch_command import batch
from .chat_command import chat
from .providers_command import providers
from .simulate_command import simulate

_EPILOGUE = """Keys come from the environment, such as OPENAI_API_KEY; ANYCOMPLETION_MODEL is the default model.

Exit codes: 0, 1 a call failed or the output could not be written, 2 usage or configuration, 130 Ctrl-C."""


def build_app() -> App:
    """The application; it raises its errors and returns the exit codes of its commands."""
    app = App(
        name="anycompletion",
        help="Asks chat models of many providers: one question, or a file of them.",
        help_epilogue=_EPILOGUE,
        version=__version__,
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
    )
    for command in (chat, batch, providers, simulate):
        app.command(command)
    return app
