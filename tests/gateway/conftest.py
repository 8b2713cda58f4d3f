"""A real Valkey and a simulated provider for the tests of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from redis.asyncio import Redis

from app.clients.dialect import build_clients
from app.clients.http import open_http
from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK
from app.gateway.budgets.prices import Prices
from app.gateway.gateway import Gateway
from app.gateway.pools.desk import Standing
from app.gateway.pools.limiter import Limiter
from app.settings import Settings
from app.store.database import Database
from app.telemetry.traces import Tracing
from tests.loadtest.provider_process import ProviderProcess, running_provider
from tests.supervise.embedded import RunningServer, running_valkey

_prefixes = count()


@pytest.fixture(scope="package")
def shared_valkey() -> Iterator[RunningServer]:
    """A server that stays up; tests keep apart by the prefix of their keys."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def own_valkey() -> Iterator[RunningServer]:
    """A server that one test may kill, freeze and start again."""
    with running_valkey() as server:
        yield server


@pytest_asyncio.fixture
async def project(database: Database) -> UUID:
    """One that nobody else has."""
    made = ids.uuid7()
    async with database.connection() as connection:
        await connection.execute("insert into projects (id, name) values ($1, $2)", made, made.hex)
    return made


@pytest.fixture
def prefix() -> str:
    """A prefix for keys that no other test has."""
    return f"test{next(_prefixes)}:"


@pytest_asyncio.fixture
async def redis(shared_valkey: RunningServer) -> AsyncIterator[Redis]:
    async with open_redis(shared_valkey.url) as client:
        yield client


NewLimiter = Callable[..., Limiter]


@pytest_asyncio.fixture
async def new_limiter(shared_valkey: RunningServer, prefix: str) -> AsyncIterator[NewLimiter]:
    """Makes limiters as separate processes have them: each with its own connections, all on the same keys."""
    async with AsyncExitStack() as stack:

        def new(server: RunningServer = shared_valkey, standing: Standing | None = None) -> Limiter:
            client = open_redis(server.url)
            stack.push_async_callback(client.aclose)
            limiter = Limiter(client, prefix=prefix, standing=standing)
            stack.push_async_callback(limiter.close)
            return limiter

        yield new


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


NewGateway = Callable[..., Gateway]


@pytest.fixture
def tracing(spans: InMemorySpanExporter) -> Iterator[Tracing]:
    """Exports to `spans`."""
    made = Tracing(BatchSpanProcessor(spans, schedule_delay_millis=20), Resource.create({}))
    yield made
    made.close()


@pytest_asyncio.fixture
async def new_gateway(
    http: httpx.AsyncBaseTransport, new_limiter: NewLimiter, tracing: Tracing
) -> AsyncIterator[NewGateway]:
    """Makes gateways as separate processes have them."""

    def new(settings: Settings) -> Gateway:
        clients = build_clients(settings, http)
        return Gateway(settings, clients, new_limiter(), Prices(settings), SYSTEM_CLOCK, tracing)

    yield new


@pytest.fixture(scope="package")
def shared_provider() -> Iterator[ProviderProcess]:
    with running_provider("--seed", "13") as running:
        yield running


@pytest.fixture
def provider(shared_provider: ProviderProcess) -> ProviderProcess:
    shared_provider.reset_faults()
    shared_provider.clear_answers()
    shared_provider.clear_calls()
    return shared_provider


@pytest_asyncio.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncBaseTransport]:
    async with open_http() as pool:
        yield pool


def open_redis(url: str) -> Redis:
    """A client as the service opens it: every wait on the socket is bounded."""
    client: Redis = Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)
    return client
