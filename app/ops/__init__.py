"""Watching and steering."""
