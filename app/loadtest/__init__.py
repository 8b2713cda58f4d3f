"""Load and simulation: the simulated AI provider; imports nothing else of app."""
