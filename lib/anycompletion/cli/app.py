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


_COMMANDS = (chat, batch, providers, simulate)


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
    for command in _COMMANDS:
        app.command(command)
    return app


def options_with_value(app: App) -> set[str]:
    """The names of all options that take a value."""
    options = (option for command in _COMMANDS for option in app[command.__name__].assemble_argument_collection())
    return {name for option in options if option.hint is not bool for name in option.names}
