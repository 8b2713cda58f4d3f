"""Tests of logs, traces and the timeline."""
