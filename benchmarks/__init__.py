"""What things cost: one module per question, peers beside us, one loopback server for all. See README.md here."""
