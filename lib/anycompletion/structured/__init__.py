"""Typed replies: types out of JSON."""
