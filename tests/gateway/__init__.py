"""Tests of the gateway, against the simulated provider and a real Valkey."""
