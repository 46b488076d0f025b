"""OpenAI's chat completions, as the simulator and the fakes write them."""
