"""A local HTTP server that speaks the providers' wire formats, and the faults it injects."""
