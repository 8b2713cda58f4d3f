"""Benchmarks: one command each, figures as medians of several runs."""
