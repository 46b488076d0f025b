"""The command line: one chat, many chats, a local simulator; uses only the public parts of the package.

Replies go to stdout, everything else to stderr. Exit codes: 0, 1 a call failed, 2 usage or configuration, 130 Ctrl-C.
"""

from .entry_point import main

__all__ = ["main"]
