"""Fault experiments on real processes: what was told, done and called back is journaled outside the system."""
