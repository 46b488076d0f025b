"""Command line of the fuzzer: ``python -m benchmarks.fuzz``."""

import sys

from .fuzzer import main

if __name__ == "__main__":
    sys.exit(main())
