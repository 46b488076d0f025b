"""The simulated format of Claude on Google Vertex AI."""
