"""``python -m benchmarks.fuzz``: the fuzzer's command line."""

import sys

from .fuzzer import main

if __name__ == "__main__":
    sys.exit(main())
