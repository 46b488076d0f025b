"""Gemini's generateContent, as the simulator and the fakes write it."""
