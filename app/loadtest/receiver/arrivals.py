"""What the receiver got: in memory for `GET /received`, and in a journal file that survives a kill."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(slots=True)
class Arrival:
    """One request. `body` is its bytes as UTF-8, odd bytes as surrogates (`surrogateescape`); `sent_bytes` of our
    answer's body went out before the caller had enough; `gone` tells that he left before its end."""

    n: int
    at: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    sent_bytes: int = 0
    gone: bool = False


class Arrivals:
    """All arrivals in order. With a journal each is on disk before it is answered."""

    def __init__(self, journal: Path | None) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(journal, flags, 0o644) if journal else None
        self._count = 0
        self.all: list[Arrival] = []

    def add(self, path: str, headers: dict[str, str], body: bytes, status: int) -> Arrival:
        """Keep one request. Raises OSError where the journal cannot be written."""
        self._count += 1
        at = datetime.now(UTC).isoformat()
        arrival = Arrival(self._count, at, path, headers, body.decode(errors="surrogateescape"), status)
        if self._file is not None:
            os.write(self._file, json.dumps(asdict(arrival)).encode() + b"\n")
            os.fsync(self._file)
        self.all.append(arrival)
        return arrival

    def shown(self, path: str | None) -> bytes:
        """JSON `{"data": [...]}` of one path, or of all."""
        data = [asdict(arrival) for arrival in self.all if path in (None, arrival.path)]
        return json.dumps({"data": data}).encode()
