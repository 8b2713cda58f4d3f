"""Tells what a file is by its first bytes and gives its text; what can't be read is refused with a reason."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from base64 import b64decode
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from laneway import InputError, ProcessingError, TransientError

Kind = Literal["pdf", "docx", "text"]

_READ = "PDF, Word (.docx) and plain text are read"
_READER = str(Path(__file__).with_name("document_text.py"))
_CPU_S = 15
_MEMORY_BYTES = 1 << 30
_MOST_CHARACTERS = 2_000_000
# Its own limit is of CPU time; this one covers a machine that gives it none.
_PATIENCE_S = 60.0
# Each may take a gigabyte: no more than two at a time in one worker, whatever arrives.
_PLACES = threading.BoundedSemaphore(2)
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
_OTHERS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"\xd0\xcf\x11\xe0", "an old or encrypted Office file"),
    (b"{\\rtf", "an RTF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
)
_HTML = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
# What a PDF's fonts leave of letters that they give no meaning: controls, private use, replacement marks.
_MEANINGLESS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]|\(cid:\d+\)")
_MOST_MEANINGLESS = 0.1


class Extract(BaseModel):
    """A document's text. `pages` is None where the format has none; those without text are scans or pictures."""

    kind: Kind
    text: str
    pages: int | None = None
    pages_without_text: int = 0


def from_text(text: str) -> Extract:
    """A text that came as text. Raises InputError when there is nothing in it."""
    return _checked(Extract(kind="text", text=text))


def from_file(content: bytes) -> Extract:
    """The text of a file's bytes. Raises InputError that says why it can't be taken; TransientError, ProcessingError
    when the reading itself failed.
    """
    kind = kind_of(content)
    return _checked(Extract(kind="text", text=_decoded(content)) if kind == "text" else _extract(kind, content))


def decoded_file(content: str) -> bytes:
    """The bytes of a file in base64. Raises ValueError."""
    return b64decode(content, validate=True)


def kind_of(content: bytes) -> Kind:
    """What the bytes begin as, whatever the file is called. Raises InputError for what can't be read."""
    if not content.strip():
        raise InputError("the file is empty")
    if content.lstrip().startswith(b"%PDF-") or (b"%PDF-" in content[:1024] and b"%%EOF" in content[-1024:]):
        return "pdf"
    if content.startswith(b"PK\x03\x04"):
        return "docx"
    for magic, what in _OTHERS:
        if content.startswith(magic):
            raise InputError(f"the file is {what}; {_READ}")
    if _HTML.match(content):
        raise InputError(f"the file is an HTML page; {_READ}")
    return "text"


def _decoded(content: bytes) -> str:
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"the file is neither UTF-8 text nor a known format; {_READ}") from None
    if _CONTROL.search(text):
        raise InputError(f"the file is not text: it holds control characters; {_READ}")
    if len(text) > _MOST_CHARACTERS:
        raise InputError(f"the file holds more than {_MOST_CHARACTERS:,} characters of text")
    return text


def _extract(kind: Kind, content: bytes) -> Extract:
    """What the reader in its own process finds; no variable of ours reaches it."""
    limits = (str(limit) for limit in (_CPU_S, _MEMORY_BYTES, _MOST_CHARACTERS))
    command = [sys.executable, "-I", _READER, kind, *limits]
    try:
        with _PLACES:
            done = subprocess.run(command, input=content, capture_output=True, env={}, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise TransientError(f"the file was not read within {_PATIENCE_S:g} s") from None
    _check_end(done.returncode, done.stderr)
    found = json.loads(done.stdout)
    if "refused" in found:
        raise InputError(found["refused"])
    return Extract(kind=kind, **found)


def _check_end(code: int, said: bytes) -> None:
    if code == -signal.SIGXCPU:
        raise InputError(f"reading the file takes more than {_CPU_S} s")
    if -code in _CRASHES:
        raise InputError(f"reading the file crashed its reader ({signal.Signals(-code).name})")
    if code < 0:
        raise TransientError(f"the file's reader was killed by {signal.Signals(-code).name}")
    if code:
        words = said.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise ProcessingError(f"the file's reader failed: {words[0][:300]}")


def _checked(found: Extract) -> Extract:
    """With tidy text. Raises InputError when there is none, or none that means anything."""
    if not found.text.strip():
        scan = f" on any of its {found.pages} pages: it may be a scan, which is not read" if found.pages else ""
        raise InputError(f"the document holds no text{scan}")
    lost = sum(len(match) for match in _MEANINGLESS.findall(found.text))
    if lost > _MOST_MEANINGLESS * len(found.text):
        raise InputError("the document's text can't be read: its fonts don't say which letters they draw")
    return found.model_copy(update={"text": _tidy(found.text)})


def _tidy(text: str) -> str:
    """Lines end with LF; what no text may hold (NUL, other controls, lone surrogates) is replaced."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _CONTROL.sub(" ", whole.replace("\r\n", "\n").replace("\r", "\n")).strip()
