"""Replicate's predictions, as the simulator and the fakes write them."""
