"""The Cyclopts application with all commands; needs the extra ``cli``."""

from __future__ import annotations

from cyclopts import App

from .. import __version__
from .batch_command import batch
from .chat_command import chat
from .providers_command import providers
from .simulate_command import simulate


def build_app() -> App:
    """The application; it raises its errors and returns the exit codes of its commands."""
    app = App(
        name="anycompletion",
        help="One chat-completion format in, any provider out.",
        version=__version__,
        exit_on_error=False,
        result_action="return_value",
    )
    for command in (chat, batch, providers, simulate):
        app.command(command)
    return app
