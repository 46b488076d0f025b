"""Do the promises hold under load and under faults? One command per figure; each prints its bounds and fails with 1."""
