"""Names and bodies of cached answers as Redis sees them: they say nothing to who lacks the service's secret."""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

from app.domain import ids

_NONCE = 16
_MARK = 32


class Seal:
    """Encrypts, then authenticates (docs/decisions/0019): each body under a key of its own.

    The key is an HMAC-SHA-512 of what the body answers and a fresh nonce under the secret; its first half is stretched
    by SHAKE-256 (FIPS 202) to the stream that covers the body, its second half marks the result with HMAC-SHA-256.
    """

    def __init__(self, secret: str) -> None:
        self._secret = hmac.digest(secret.encode(), b"laneway cache", hashlib.sha256)

    def name(self, digest: bytes) -> str:
        """What an entry is called."""
        return self._word(b"name", digest)

    def tag(self, project_id: UUID, tag: str) -> str:
        """What a project's tag is called."""
        return self._word(b"tag", project_id.bytes + tag.encode("utf-8", "surrogatepass"))

    def close(self, digest: bytes, body: bytes) -> bytes:
        """The body, sealed."""
        nonce = ids.secret_bytes(_NONCE)
        stream, marking = self._keys(digest, nonce)
        covered = _cover(body, stream)
        return nonce + hmac.digest(marking, covered, hashlib.sha256) + covered

    def open(self, digest: bytes, sealed: bytes) -> bytes | None:
        """The body; None for bytes that were not sealed here for this digest, or were changed."""
        nonce, mark, covered = sealed[:_NONCE], sealed[_NONCE : _NONCE + _MARK], sealed[_NONCE + _MARK :]
        stream, marking = self._keys(digest, nonce)
        if not hmac.compare_digest(mark, hmac.digest(marking, covered, hashlib.sha256)):
            return None
        return _cover(covered, stream)

    def _word(self, kind: bytes, what: bytes) -> str:
        return hmac.digest(self._secret, kind + b":" + what, hashlib.sha256).hex()

    def _keys(self, digest: bytes, nonce: bytes) -> tuple[bytes, bytes]:
        both = hmac.digest(self._secret, b"body:" + digest + nonce, hashlib.sha512)
        return both[:32], both[32:]


def _cover(body: bytes, key: bytes) -> bytes:
    """The body under the key's stream, or out of it again."""
    stream = hashlib.shake_256(key).digest(len(body))
    return (int.from_bytes(body) ^ int.from_bytes(stream)).to_bytes(len(body))
