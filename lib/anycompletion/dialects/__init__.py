"""Wire formats as pure functions: `base` is the interface, each folder implements it for one API."""
