"""What authors of workflows test with: `from laneway.testing import run`."""

from app.engine.testing import JobFailed, MemoryJournal, MissingReply, Reply, run

__all__ = ["JobFailed", "MemoryJournal", "MissingReply", "Reply", "run"]
