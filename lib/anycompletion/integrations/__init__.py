"""Other libraries beside this one. Each module needs its extra, and only who uses it imports it."""
