"""The simulated format of Gemini on Google Vertex AI."""
