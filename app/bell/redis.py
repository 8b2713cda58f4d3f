"""The Redis client: bounded in time, so that a frozen server holds nobody for long."""

from __future__ import annotations

from arq.connections import ArqRedis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

SOCKET_TIMEOUT_S = 1.0
# Of one process. Two or three listen and one of each lane waits for tickets; the others are in use for a millisecond.
MOST_CONNECTIONS = 64
AWAY = (RedisError, OSError, TimeoutError)
_SIGN, _SIGN_S = "laneway:sign-of-life", 60


async def answer(redis: ArqRedis) -> None:
    """Raises one of AWAY where it can't be written: it is away, frozen, out of memory or read-only."""
    await redis.set(_SIGN, b"1", ex=_SIGN_S)


def open_redis(url: str, most: int = MOST_CONNECTIONS) -> ArqRedis:
    """A client for `url` (redis://, rediss:// or unix://); connects at the first command.

    Where all connections are in use, a command waits for one as long as it would for its answer; then it fails as one
    to a server that is away. No check of idle connections: at each new one, while the server is frozen, the client's
    check would begin with another new one, and so on; a broken one is opened anew by the retry.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 1),
        max_connections=most,
        timeout=SOCKET_TIMEOUT_S,
    )
    # from_pool: closing the client closes its connections too.
    client: ArqRedis = ArqRedis.from_pool(pool)  # type: ignore[assignment]
    return client
