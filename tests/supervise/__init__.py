"""Tests of the parent process and its embedded servers, on real processes."""
