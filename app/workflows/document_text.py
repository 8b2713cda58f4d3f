"""Takes the text out of a PDF or Word file, in a process of its own with little memory and time: for hostile files.

Run by its path as `python -I document_text.py pdf|docx CPU_S MEMORY_BYTES MOST_CHARACTERS`; the file comes on standard
input, one JSON object goes to standard output: `text`, `pages`, `pages_without_text`, or `refused` with the reason.
Imports nothing of app, and is imported by nothing.
"""

from __future__ import annotations

import io
import json
import logging
import resource
import sys
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

from docx import Document
from pypdf import PdfReader

_MOST_PAGES = 3_000
_MOST_ENTRIES = 2_000
_MOST_UNPACKED_BYTES = 100_000_000
_DEEPEST_TABLE = 5


class Refused(Exception):
    """The file can't be taken; the message is for its sender."""


def main(kind: str, cpu_s: str, memory_bytes: str, most_characters: str) -> None:
    """Read, extract, tell. A file that is too large for the limits ends the process or is refused."""
    _bound(int(cpu_s), int(memory_bytes))
    extract = {"pdf": pdf_text, "docx": docx_text}[kind]
    try:
        found = extract(sys.stdin.buffer.read(), int(most_characters))
    except Refused as refusal:
        found = {"refused": str(refusal)}
    except MemoryError:
        found = {"refused": f"reading it takes more than {int(memory_bytes) >> 20} MB"}
    except RecursionError:
        found = {"refused": "it is nested too deep"}
    sys.stdout.write(json.dumps(found))


def _bound(cpu_s: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    logging.disable()
    warnings.simplefilter("ignore")


def pdf_text(content: bytes, most: int) -> dict[str, Any]:
    """The text of every page. Raises Refused for a file that is encrypted, cut off, broken or too long."""
    if b"%%EOF" not in content.rstrip(b"\0 \t\r\n")[-4096:]:
        raise Refused("the PDF is cut off: its end is missing")
    try:
        reader: Any = PdfReader(io.BytesIO(content))
        _open(reader)
        told, found = reader.trailer["/Root"]["/Pages"].get("/Count"), len(reader.pages)
    except (Refused, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise Refused(f"the PDF can't be read: {_reason(error)}") from None
    if found > _MOST_PAGES:
        raise Refused(f"the PDF has {found:,} pages; {_MOST_PAGES:,} are taken")
    if told != found:
        raise Refused(f"the PDF is broken: it should have {told} pages and has {found}")
    pages = list(_within(most, _page_texts(reader)))
    blank = sum(not page for page in pages)
    return {"text": "\n\n".join(pages), "pages": found, "pages_without_text": blank}


def _open(reader: Any) -> None:
    """Many encrypted PDFs open without a password. Raises Refused for one that doesn't."""
    try:
        opened = not reader.is_encrypted or reader.decrypt("")
    except Exception:
        opened = False
    if not opened:
        raise Refused("the PDF is encrypted: it needs a password, or a cipher that is not read here")


def docx_text(content: bytes, most: int) -> dict[str, Any]:
    """Paragraphs and tables of the body in order; headers, footers, notes and text boxes are left out."""
    _check_archive(content)
    try:
        document = Document(io.BytesIO(content))
        blocks = list(_within(most, _block_texts(document, 0)))
    except (Refused, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise Refused(f"it is a ZIP archive, but no Word document that can be read: {_reason(error)}") from None
    return {"text": "\n\n".join(blocks), "pages": None, "pages_without_text": 0}


def _page_texts(reader: Any) -> Iterator[str]:
    for number, page in enumerate(reader.pages, 1):
        try:
            yield page.extract_text().strip()
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            raise Refused(f"page {number} of the PDF can't be read: {_reason(error)}") from None


def _block_texts(container: Any, depth: int) -> Iterator[str]:
    for block in container.iter_inner_content():
        if hasattr(block, "rows"):
            yield from _table_texts(block, depth)
        elif block.text.strip():
            yield block.text


def _table_texts(table: Any, depth: int) -> Iterator[str]:
    """A line for each row; a merged cell stands once."""
    if depth >= _DEEPEST_TABLE:
        raise Refused(f"tables are nested more than {_DEEPEST_TABLE} deep")
    for row in table.rows:
        cells = {id(cell._tc): cell for cell in row.cells}.values()
        texts = [" ".join(_block_texts(cell, depth + 1)) for cell in cells]
        if any(texts):
            yield " | ".join(texts)


def _check_archive(content: bytes) -> None:
    """Raises Refused for an archive that unpacks to more than it may; readers unpack no more than is declared."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except Exception as error:
        raise Refused(f"the Word document is broken: {_reason(error)}") from None
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > _MOST_ENTRIES or unpacked > _MOST_UNPACKED_BYTES:
        raise Refused(f"it unpacks to {len(entries):,} files and {unpacked / 1e6:,.0f} MB: more than is taken")
    if any(entry.flag_bits & 1 for entry in entries):
        raise Refused("the archive is encrypted: it needs a password")


def _within(most: int, texts: Iterator[str]) -> Iterator[str]:
    length = 0
    for text in texts:
        length += len(text)
        if length > most:
            raise Refused(f"it holds more than {most:,} characters of text")
        yield text


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


if __name__ == "__main__":
    main(*sys.argv[1:])
