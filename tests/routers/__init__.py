"""Tests of the HTTP contract, by clients that know nothing but HTTP."""
