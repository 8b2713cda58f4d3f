"""How much memory a process holds, and the most that it ever held."""

from __future__ import annotations

from pathlib import Path


def memory_mb(pid: int) -> float:
    """Resident, in megabytes."""
    return _megabytes(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """The most that was resident since `forget_peak`, in megabytes."""
    return _megabytes(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """From now on its peak is counted anew (proc_pid_clear_refs(5): 5 resets the peak)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _megabytes(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))
