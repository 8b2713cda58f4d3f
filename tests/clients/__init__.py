"""Tests of the model clients, against real servers."""
