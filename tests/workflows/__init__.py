"""Tests of the reference workflows."""
