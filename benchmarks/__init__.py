"""Benchmarks: one module per question, with other clients for comparison and one loopback server; see README.md."""
