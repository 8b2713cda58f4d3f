"""What must hold at every moment, as SQL: the list that `laneway verify` goes through."""

from __future__ import annotations

from app.store.invariants.check import Check
from app.store.invariants.events import EVENTS
from app.store.invariants.families import FAMILIES
from app.store.invariants.house import HOUSE
from app.store.invariants.lines import LINES
from app.store.invariants.money import MONEY
from app.store.invariants.operations import OPERATIONS
from app.store.invariants.outbox import OUTBOX
from app.store.invariants.records import RECORDS
from app.store.invariants.states import STATES

CHECKS: tuple[Check, ...] = (*STATES, *EVENTS, *RECORDS, *MONEY, *FAMILIES, *LINES, *OUTBOX, *OPERATIONS, *HOUSE)
