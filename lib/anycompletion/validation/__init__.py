"""What callers pass, checked and converted to records; every refusal names the parameter."""
