"""The experiments, a file for each part that is hurt; `tests/faults/suite.py` lists them all."""
