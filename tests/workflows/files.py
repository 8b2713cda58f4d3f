"""Makes real documents for tests: PDFs byte by byte, Word files with python-docx, and broken ones of both."""

from __future__ import annotations

import io
import textwrap
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Sequence

from docx import Document
from pypdf import PdfReader, PdfWriter

_LINE = 90


def pdf(pages: Sequence[str]) -> bytes:
    """A PDF with this text on its pages; a page of "" holds a drawing and no text."""
    first = 4
    kids = " ".join(f"{first + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for n, text in enumerate(pages):
        content = f"{first + 2 * n + 1} 0 R"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {content} "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(stream(_drawn(text)))
    return assembled(objects)


def stream(content: bytes, head: str = "") -> bytes:
    """An object that holds a compressed stream."""
    packed = zlib.compress(content)
    return f"<< /Length {len(packed)} /Filter /FlateDecode {head}>>\nstream\n".encode() + packed + b"\nendstream"


def assembled(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    out, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def encrypted_pdf(content: bytes, password: str) -> bytes:
    """The same PDF behind a user's password."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def docx(paragraphs: Sequence[str], rows: Sequence[Sequence[str]] = ()) -> bytes:
    """A Word file: the paragraphs, then a table of the rows."""
    document = Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if rows:
        table = document.add_table(rows=len(rows), cols=len(rows[0]))
        for row, texts in zip(table.rows, rows, strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def archive(members: dict[str, bytes]) -> bytes:
    """A ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return out.getvalue()


def replaced(content: bytes, name: str, member: bytes) -> bytes:
    """The archive with one member exchanged, or added."""
    with zipfile.ZipFile(io.BytesIO(content)) as kept:
        members = {one: kept.read(one) for one in kept.namelist()}
    return archive({**members, name: member})


def base64(content: bytes) -> str:
    """As the input wants it."""
    return b64encode(content).decode()


def _drawn(text: str) -> bytes:
    if not text:
        return b"0 0 m 100 100 l S"
    shown = "".join(f"({_escaped(line)}) Tj T*\n" for line in textwrap.wrap(text, _LINE))
    return f"BT /F1 10 Tf 12 TL 40 800 Td\n{shown}ET".encode("cp1252")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
