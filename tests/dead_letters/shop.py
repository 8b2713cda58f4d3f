"""An author's module with bugs: tests copy it, let its jobs fail, and mend the copy."""

from __future__ import annotations

import os
import urllib.request

from pydantic import BaseModel, field_validator

from laneway import Context, Policy, TransientError, workflow


class Order(BaseModel):
    """`url` is fetched once; `text` holds a total, as `total: 12`."""

    text: str
    url: str = ""


class Label(BaseModel):
    label: str

    @field_validator("label")
    @classmethod
    def known(cls, value: str) -> str:
        """What the schema does not tell the model."""
        if "\x00" not in value:
            raise ValueError("unknown label")
        return value


@workflow("shop-total", version="1")
async def shop_total(ctx: Context, order: Order) -> int:
    """Fetches, then parses."""
    page = await ctx.step("fetch", fetch, order.url)
    return await ctx.step("parse", parse, order.text) + page


@workflow("shop-body", version="1")
async def shop_body(ctx: Context, order: Order) -> int:
    """Fails between its steps."""
    page = await ctx.step("fetch", fetch, order.url)
    return {"page": page}["total"]


@workflow("shop-label", version="1")
async def shop_label(ctx: Context, order: Order) -> str:
    """Wants of a model what it can't give."""
    first = await ctx.ask("first", model="small", prompt=order.text)
    found = await ctx.ask("label", model="small", prompt=first, output=Label)
    return found.label


@workflow("shop-stock", version="1")
async def shop_stock(ctx: Context, order: Order) -> int:
    """Has no answer when the stock is away."""
    return await ctx.step("stock", stock, policy=Policy(tries=2, backoff="10ms"))


@workflow("shop-kills", version="1")
async def shop_kills(ctx: Context, order: Order) -> int:
    """Ends its process."""
    page = await ctx.step("fetch", fetch, order.url)
    return await ctx.step("kill", kill) + page


def fetch(url: str) -> int:
    """A status over the network: nothing that a test could repeat."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(answer.status)


def parse(text: str) -> int:
    """The number behind the colon."""
    return int(text.split(":")[2])


def stock() -> int:
    """Never there."""
    raise TransientError("the stock is away", code="stock_away")


def kill() -> int:
    """As a fault in a native library would."""
    os.kill(os.getpid(), 9)
    return 1
