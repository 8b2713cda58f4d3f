"""`laneway demo`: the whole stack on real reviews, used as a client uses it, and what a person wants to see of it."""

from app.cli.demo.command import demo

__all__ = ["demo"]
