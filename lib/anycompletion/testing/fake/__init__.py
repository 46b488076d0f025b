"""A provider that exists in a test only: scripted replies through the real client, without a network."""
