"""Tests; the folders mirror app/."""
