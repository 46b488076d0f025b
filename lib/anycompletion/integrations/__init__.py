"""Integrations with other libraries; each module needs its extra and is imported by its users only."""
