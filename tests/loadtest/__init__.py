"""Tests of the simulated AI provider."""
