"""Command line: ``python -m benchmarks.fuzz.recorded [--changes 60000] [--seed N] [--failures FOLDER]``.

Every recorded response of the folder that ANYCOMPLETION_TRAFFIC names is changed in one field at a time: another type,
null, left out, nested in an object, a list of one. A field that is not needed may change nothing but itself; one that
carries the reply is read by the conversions of `anycompletion.codecs.lenient`, or the reply is an error of ours. It
prints counts for each dialect and the failures; the exit code is 1 where there is one.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from . import campaign
from .responses import responses


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz.recorded", description=str(__doc__).partition("\n\n")[2]
    )
    parser.add_argument("--changes", type=int, default=60_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--dialect", help="change the replies of this dialect alone")
    parser.add_argument("--failures", type=Path, help="folder for lists of failures, a file for each dialect")
    given = parser.parse_args()
    folder = os.environ.get("ANYCOMPLETION_TRAFFIC")
    if not folder:
        parser.error("ANYCOMPLETION_TRAFFIC names no folder of recorded traffic")
    start = time.monotonic()
    chosen = [found for found in responses(folder) if given.dialect in (None, found.dialect)]
    outcome = campaign.run(campaign.sample(chosen, given.changes, given.seed))
    if given.failures is not None:
        campaign.write_failures(given.failures, outcome)
    else:
        print("\n".join(campaign.listed(outcome.failures)))
    print("\n".join(campaign.table(outcome)))
    print(f"{sum(outcome.counts.values()):,} changes in {time.monotonic() - start:.0f} s, seed {given.seed}")
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
