"""What can keep the parent from starting, in words for the person who started it."""


class CannotStart(Exception):
    """Starting is impossible as things stand; the message says why and what to do."""


class StillRunning(Exception):
    """A server of an earlier parent is still shutting down on the same data; try again shortly."""
