"""One file for each outside party: wire formats only."""
