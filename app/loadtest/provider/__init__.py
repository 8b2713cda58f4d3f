"""The simulated AI provider: a real HTTP server, seeded, with faults that can be switched while it runs."""
