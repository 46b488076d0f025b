"""Azure's chat completions, as the simulator writes them."""
