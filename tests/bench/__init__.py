"""The benchmarks under test: small, so that they cannot rot."""
