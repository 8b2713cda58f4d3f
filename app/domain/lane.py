"""The lanes of jobs, in the order in which a provider's limit serves them."""

LANES = ("interactive", "standard", "bulk")
DELIVERY = "delivery"
"""Webhooks have a lane of their own, which asks no provider."""
