"""The documentation under test: its commands run, its code works, its tables and links are true."""
