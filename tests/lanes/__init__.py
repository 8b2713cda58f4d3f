"""Lanes: whose turn it is, shown by the order of starts."""
