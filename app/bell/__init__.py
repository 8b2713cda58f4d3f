"""arq and Redis as a doorbell: tickets, slots, wake-ups. Everything in here may be lost."""
