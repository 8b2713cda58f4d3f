"""What is read of real files, and what is refused with which reason: hostile ones within bounds."""

from __future__ import annotations

import os
import time
import zlib

import pytest

from app.workflows import document
from app.workflows.document import from_file, from_text, kind_of
from laneway import InputError, ProcessingError, TransientError
from tests.workflows.files import archive, assembled, docx, encrypted_pdf, pdf, replaced, stream

PAGES = ["The first page tells of (round) brackets.", "The second page: café \\ crème."]


def test_a_pdf_is_read_page_by_page() -> None:
    found = from_file(pdf(PAGES))
    assert (found.kind, found.pages, found.pages_without_text) == ("pdf", 2, 0)
    assert found.text == "\n\n".join(PAGES)


def test_pages_without_text_are_counted() -> None:
    found = from_file(pdf(["Words.", "", "More words."]))
    assert (found.pages, found.pages_without_text) == (3, 1)


def test_a_pdf_with_an_owner_password_only_is_open_to_readers() -> None:
    assert from_file(encrypted_pdf(pdf(PAGES), "")).text == "\n\n".join(PAGES)


def test_word_paragraphs_and_tables_are_read_in_order() -> None:
    found = from_file(docx(["Один.", "Zwei — drei.", ""], [["Name", "Sum"], ["Ada", "12"]]))
    assert (found.kind, found.pages) == ("docx", None)
    assert found.text == "Один.\n\nZwei — drei.\n\nName | Sum\n\nAda | 12"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"plain\r\nlines\rof text\n", "plain\nlines\nof text"),
        ("\ufeffwith a mark: Größe".encode(), "with a mark: Größe"),
        ("Größe".encode("utf-16"), "Größe"),
        (b"In PDF files %PDF- comes first.", "In PDF files %PDF- comes first."),
    ],
)
def test_plain_text_is_read(content: bytes, text: str) -> None:
    found = from_file(content)
    assert (found.kind, found.text) == ("text", text)


def test_a_given_text_is_made_fit_for_a_prompt() -> None:
    assert from_text(" a\x00b \ud800 c\r\n").text == "a b \ufffd c"


WHOLE = pdf(PAGES)
BROKEN = {
    "empty": (b"", "is empty"),
    "white": (b" \n\t ", "is empty"),
    "header only": (b"%PDF-1.7\n", "cut off"),
    "cut off": (WHOLE[: len(WHOLE) // 2], "cut off"),
    "without its middle": (WHOLE[:200] + WHOLE[600:], "PDF"),
    "noise": (b"%PDF-1.4\n" + bytes(range(256)) * 20 + b"\n%%EOF", "can't be read"),
    "no pages": (assembled([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>"]), "no text"),
    "pages missing": (WHOLE.replace(b"/Count 2", b"/Count 9"), "should have 9 pages and has 2"),
    "password": (encrypted_pdf(WHOLE, "secret"), "encrypted"),
    "scan": (pdf(["", ""]), "may be a scan"),
    "cut word": (docx(["text"])[:-300], "broken"),
    "word without words": (docx([""]), "no text"),
    "word with a broken body": (replaced(docx(["text"]), "word/document.xml", b"<w:document"), "no Word document"),
    "zip": (archive({"a.txt": b"text"}), "no Word document"),
    "empty zip": (archive({}), "an empty ZIP archive"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(40), "a PNG picture"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(40), "a JPEG picture"),
    "old word": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old or encrypted Office file"),
    "rtf": (b"{\\rtf1 text}", "an RTF document"),
    "html": (b" <!DOCTYPE html><p>text", "an HTML page"),
    "latin-1": ("Größe".encode("latin-1"), "neither UTF-8"),
    "binary": (b"text\x00\x01\x02", "control characters"),
    "half utf-16": ("Größe".encode("utf-16")[:-1], "neither UTF-8"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_refused_with_its_reason(name: str) -> None:
    content, reason = BROKEN[name]
    with pytest.raises(InputError, match=reason) as caught:
        from_file(content)
    assert caught.value.code == "input_invalid"


def test_letters_without_meaning_are_refused() -> None:
    with pytest.raises(InputError, match="fonts"):
        from_text("\ue010\ue011\ue012 \ue013\ue014 abc")


def test_the_first_bytes_decide_and_not_more() -> None:
    assert kind_of(b"mail header\n\n" + WHOLE) == "pdf"
    assert kind_of(docx(["x"])) == "docx"


HOSTILE = {
    "xml of 150 MB": lambda: replaced(docx(["x"]), "word/document.xml", b"<w:document>" + bytes(150_000_000)),
    "billion laughs": lambda: replaced(docx(["x"]), "word/document.xml", LAUGHS),
    "stream of 200 MB": lambda: _with_content(stream(_packed_zeros(200_000_000), "/DecodeParms [null null]").replace(
        b"/Filter /FlateDecode", b"/Filter [/FlateDecode /FlateDecode]")),
    "pages that hold each other": lambda: assembled(
        [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"]),
    "nested arrays": lambda: assembled([b"<< /Type /Catalog /Pages 2 0 R >>", b"[" * 200_000]),
    "a hundred thousand pages": lambda: assembled([
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 100000 /Kids [" + b"3 0 R " * 100_000 + b"] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"]),
    "text of 3 MB": lambda: docx(["word " * 600_000]),
    "tables in tables": lambda: replaced(docx(["x"]), "word/document.xml", _nested_tables(40)),
}  # fmt: skip
LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "ha">%s]>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>&b9;</w:t>
</w:r></w:p></w:body></w:document>""" % b"".join(
    b'<!ENTITY b%d "%s">' % (n, (b"&b%d;" % (n - 1) if n else b"&a;") * 10) for n in range(10)
)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_bounded_time_and_memory(name: str) -> None:
    content = HOSTILE[name]()
    assert len(content) < 12_000_000, "small enough to be sent"
    begun = time.monotonic()
    with pytest.raises(InputError):
        from_file(content)
    assert time.monotonic() - begun < 20


def test_a_file_that_keeps_its_reader_busy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_CPU_S", 1)
    busy = _with_content(stream(b"BT /F1 10 Tf " + b"(word ) Tj T* " * 3_000_000 + b"ET"))
    with pytest.raises(InputError, match="takes more than 1 s"):
        from_file(busy)


def test_a_file_that_needs_more_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    space = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = b"<w:document %s><w:body>%s</w:body></w:document>" % (space, b"<w:p/>" * 1_500_000)
    large = replaced(docx(["x"]), "word/document.xml", body)
    monkeypatch.setattr(document, "_MEMORY_BYTES", 200 << 20)
    with pytest.raises(InputError, match=r"no Word document that can be read|more than 200 MB"):
        from_file(large)


def test_a_reader_that_is_killed_or_cannot_start_is_not_the_files_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_PATIENCE_S", 0.01)
    with pytest.raises(TransientError, match="not read within"):
        from_file(WHOLE)
    monkeypatch.undo()
    monkeypatch.setattr(document, "_READER", "/no/such/reader.py")
    with pytest.raises(ProcessingError, match="no/such/reader"):
        from_file(WHOLE)


def test_the_reader_is_given_no_variable_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken interpreter option in our environment would stop a child that inherits it."""
    monkeypatch.setitem(os.environ, "PYTHONHOME", "/nowhere")
    assert from_file(pdf(["Words."])).text == "Words."


def _with_content(content: bytes) -> bytes:
    return assembled([
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R "
        b"/Resources << /Font << /F1 3 0 R >> >> >>",
        content,
    ])  # fmt: skip


def _packed_zeros(size: int) -> bytes:
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def _nested_tables(depth: int) -> bytes:
    space = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    inner = b"<w:p><w:r><w:t>deep</w:t></w:r></w:p>"
    for _ in range(depth):
        grid = b"<w:tblPr/><w:tblGrid><w:gridCol/></w:tblGrid>"
        inner = b"<w:tbl>" + grid + b"<w:tr><w:tc>" + inner + b"</w:tc></w:tr></w:tbl><w:p/>"
    return b"<w:document %s><w:body>%s</w:body></w:document>" % (space, inner)
