"""The wire formats of the simulator and the fakes: replies encoded, requests validated, answers simulated."""
