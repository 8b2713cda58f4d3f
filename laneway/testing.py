"""What authors of workflows test with: `from laneway.testing import run`."""

from app.engine.testing import JobFailed, MemoryJournal, run

__all__ = ["JobFailed", "MemoryJournal", "run"]
