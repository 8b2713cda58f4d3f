"""Reads a JSON array while it arrives: each element as soon as it is complete, however the text is cut into pieces."""

from __future__ import annotations

import re

# What moves the reader: a quote ends or begins a string, brackets change the depth, a comma ends an element.
_MARKS = re.compile(r'["\\\[\]{},]')
_IN_STRING = re.compile(r'["\\]')


class ItemReader:
    """Takes pieces of a text and gives the elements of the first array in it, as JSON texts, unchecked.

    What comes before the array's bracket, such as the object that holds it, and after its end is passed over.
    """

    def __init__(self) -> None:
        self._depth = 0  # 0: before the array, 1: between its elements, more: inside one
        self._quoted = False
        self._escaped = False
        self._over = False
        self._element: list[str] = []

    def feed(self, piece: str) -> list[str]:
        """The elements that this piece completes."""
        found: list[str] = []
        place = 0
        while place < len(piece) and not self._over:
            place = self._advance(piece, place, found)
        return found

    def _advance(self, piece: str, place: int, found: list[str]) -> int:
        """Move past the next mark; the new place."""
        if self._depth == 0:
            return self._to_the_array(piece, place)
        if self._escaped:
            self._escaped = False
            self._element.append(piece[place])
            return place + 1
        mark = (_IN_STRING if self._quoted else _MARKS).search(piece, place)
        if mark is None:
            self._element.append(piece[place:])
            return len(piece)
        self._element.append(piece[place : mark.start()])
        self._pass(mark[0], found)
        return mark.end()

    def _to_the_array(self, piece: str, place: int) -> int:
        start = piece.find("[", place)
        if start < 0:
            return len(piece)
        self._depth = 1
        return start + 1

    def _pass(self, mark: str, found: list[str]) -> None:
        if self._depth == 1 and not self._quoted and mark in ",]":
            self._end_element(found)
            self._over = mark == "]"
            return
        self._element.append(mark)
        if mark == "\\":
            self._escaped = self._quoted
        elif mark == '"':
            self._quoted = not self._quoted
        elif mark in "[{":
            self._depth += 1
        elif mark in "]}":
            self._depth -= 1

    def _end_element(self, found: list[str]) -> None:
        text = "".join(self._element).strip()
        self._element.clear()
        if text:
            found.append(text)
