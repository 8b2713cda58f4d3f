"""`laneway simulate`: serves the simulated AI provider; its options live beside it."""

from app.loadtest.provider.command import simulate

__all__ = ["simulate"]
