"""What can keep the parent from starting, in words for the person who started it."""


class CannotStart(Exception):
    """Starting is impossible as things stand; the message says why and what to do. `exit_code` is for the shell."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StillRunning(Exception):
    """A server of an earlier parent is still shutting down on the same data; try again shortly."""
