"""Makes a string that a regular expression matches; common syntax only, no look-around, no back-reference."""

import re
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits

from app.loadtest.provider.draw import Draw
from app.loadtest.provider.schema import UnsupportedSchema

_CLASSES = {
    "d": digits,
    "w": ascii_letters + digits + "_",
    "s": " ",
    "D": ascii_lowercase,
    "W": "-",
    "S": ascii_lowercase,
}
_ANY = ascii_lowercase
_NEGATED_FROM = ascii_lowercase + ascii_uppercase + digits + " -_."
_COUNT = re.compile(r"\{(\d+)(,?)(\d*)\}")
_MOST_MORE = 3


def matching(pattern: str, draw: Draw) -> str:
    """A string that `re.search` finds the pattern in. Raises UnsupportedSchema where none could be made."""
    try:
        made = _Reader(pattern, draw).read()
        if re.search(pattern, made) is not None:
            return made
    except (re.error, IndexError, OverflowError):
        pass
    raise UnsupportedSchema(f"pattern {pattern!r} is not supported by the simulated provider")


class _Reader:
    """Reads the pattern once from left to right; every alternative and repeat is made, the draw picks."""

    def __init__(self, pattern: str, draw: Draw) -> None:
        self._pattern = pattern
        self._at = 0
        self._draw = draw
        self._round = 0

    def read(self) -> str:
        """The string for the pattern from here to its end or to the end of the group. May raise IndexError."""
        options = [self._sequence()]
        while self._next() == "|":
            self._at += 1
            options.append(self._sequence())
        return self._chance().pick(options)

    def _sequence(self) -> str:
        made = ""
        while self._next() not in ("", "|", ")"):
            made += self._repeated()
        return made

    def _repeated(self) -> str:
        start, first = self._at, self._atom()
        end = self._at
        low, high = self._counts()
        after, count = self._at, low + self._chance().below(high - low + 1)
        made = first if count else ""
        for _ in range(count - 1):
            self._at = start
            made += self._atom()
        assert self._at in (end, after)
        self._at = after
        return made

    def _atom(self) -> str:
        character = self._take()
        if character in "^$":
            return ""
        if character == ".":
            return self._chance().pick(_ANY)
        if character == "\\":
            return self._escaped()
        if character == "[":
            return self._chance().pick(self._members())
        return self._group() if character == "(" else character

    def _group(self) -> str:
        if self._pattern.startswith("?:", self._at):
            self._at += 2
        elif name := re.match(r"\?P<\w+>", self._pattern[self._at :]):
            self._at += name.end()
        elif self._next() == "?":
            raise IndexError
        made = self.read()
        self._at += 1
        return made

    def _escaped(self) -> str:
        character = self._take()
        if character in _CLASSES:
            return self._chance().pick(_CLASSES[character])
        if character in "bAZz":
            return ""
        if character.isalnum():
            raise IndexError
        return character

    def _members(self) -> str:
        negated = self._next() == "^"
        self._at += negated
        members = ""
        while not (self._next() == "]" and members):
            members += self._range()
        self._at += 1
        return "".join(one for one in _NEGATED_FROM if one not in members) if negated else members

    def _range(self) -> str:
        first = self._take()
        if first == "\\":
            escaped = self._take()
            return _CLASSES.get(escaped, escaped)
        if self._next() == "-" and self._pattern[self._at + 1] != "]":
            last = self._pattern[self._at + 1]
            self._at += 2
            return "".join(map(chr, range(ord(first), ord(last) + 1)))
        return first

    def _counts(self) -> tuple[int, int]:
        low, high = {"?": (0, 1), "*": (0, _MOST_MORE), "+": (1, 1 + _MOST_MORE)}.get(self._next(), (1, 1))
        if self._next() in ("?", "*", "+"):
            self._at += 1
        elif count := _COUNT.match(self._pattern, self._at):
            self._at = count.end()
            low = int(count[1])
            high = low if not count[2] else int(count[3] or low + _MOST_MORE)
        if self._next() == "?" and (low, high) != (1, 1):
            self._at += 1
        return low, high

    def _chance(self) -> Draw:
        self._round += 1
        return self._draw.sub(self._round)

    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._pattern[self._at]
        self._at += 1
        return character
