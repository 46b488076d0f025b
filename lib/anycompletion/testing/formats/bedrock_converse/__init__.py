"""Bedrock's Converse and ConverseStream, as the simulator and the fakes write them."""
