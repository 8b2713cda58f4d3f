"""Plain frozen words that two or more rooms share; no I/O."""
