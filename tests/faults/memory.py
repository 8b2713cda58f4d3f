"""How much memory a process holds."""

from __future__ import annotations

from pathlib import Path


def memory_mb(pid: int) -> float:
    """Resident, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
