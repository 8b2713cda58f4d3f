"""Numbers of transactions: events and the ledger are read on in their order, across clusters too."""

from __future__ import annotations

# Numbers are drawn before their commit, so a smaller one may appear later; but no transaction below the oldest that is
# still open can write any more. What this cluster adds to its own count is written by `rebase`.
SETTLED = """(
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (select xid_base from bookkeeping)
)::text::xid8"""
