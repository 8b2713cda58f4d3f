"""The way to Redis: bounded, and known to be away when it is."""
