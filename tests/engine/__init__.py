"""Tests of the engine: what an author touches, and replay."""
