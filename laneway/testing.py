"""What authors of workflows test with: `from laneway.testing import run`."""

from app.engine.rerun import NetworkUsed, rerun
from app.engine.testing import JobFailed, MemoryJournal, MissingReply, Reply, run

__all__ = ["JobFailed", "MemoryJournal", "MissingReply", "NetworkUsed", "Reply", "rerun", "run"]
