"""Laneway: the self-hosted service that runs AI workflows in production."""

__version__ = "0.1.0"
