"""Breakers of parts that steps name."""
