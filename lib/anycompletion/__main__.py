"""`python -m anycompletion` is the command `anycompletion`; holds nothing of its own."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
