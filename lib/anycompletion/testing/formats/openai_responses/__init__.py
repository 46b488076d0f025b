"""OpenAI's responses, as the simulator and the fakes write them."""
