"""Tests of watching and steering."""
