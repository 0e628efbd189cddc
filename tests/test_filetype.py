"""What a file really is, whatever it is called."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import Buffer

from connector.filetype import TrueType, true_type
from connector.names import safe_name

#: The letters of Windows Installer for the stream `!_StringData`, which each of its databases has.
INSTALLER_STREAM = "䡀㼿䕷䑬㭪䗤䠤"


def zipped(*names: str, stored: bool = False, content: bytes = b"content" * 50) -> bytes:
    """A zip of files with these names."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return target.getvalue()


class Unseekable(io.RawIOBase):
    """A pipe, into which a zip is written with its sizes behind the content."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def write(self, data: Buffer) -> int:
        """Append."""
        self.written += bytes(data)
        return memoryview(data).nbytes


def streamed(*names: str) -> bytes:
    """A zip whose local headers do not know their sizes."""
    target = Unseekable()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, b"content" * 50)
    return target.written


def open_document() -> bytes:
    """The beginning of an OpenDocument text."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("content.xml", "<x/>")
    return target.getvalue()


def compound(names: Sequence[str], sector: int = 512) -> bytes:
    """The beginning of an OLE file with a directory of these names in its second sector ([MS-CFB])."""
    header = bytearray(sector)
    header[:8] = bytes.fromhex("d0cf11e0a1b11ae1")
    header[30:32] = struct.pack("<H", sector.bit_length() - 1)
    header[48:52] = struct.pack("<I", 1)
    directory = b""
    for name in ("Root Entry", *names):
        letters = name.encode("utf-16-le")
        directory += letters.ljust(64, b"\0") + struct.pack("<H", len(letters) + 2) + bytes(62)
    return bytes(header) + bytes(sector) + directory.ljust(sector, b"\0")


def tarred() -> bytes:
    """A tar of one file."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return target.getvalue()


PROGRAM = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0" + bytes(112) + b"PE\0\0"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01"
NOISE = bytes(range(0, 256, 5)) * 8

#: What it is, the name it goes by, how it begins, and the verdict.
EXAMPLES: tuple[tuple[str, str, bytes, str], ...] = (
    ("a program", "setup.exe", PROGRAM, "executable"),
    ("a program called a PDF", "invoice.pdf", PROGRAM, "executable"),
    ("a program without a name", "", PROGRAM, "executable"),
    ("a text that begins with MZ", "a.txt", b"MZ is the country code of Mozambique, and here is more.", "text"),
    ("a program that shows a PDF later", "a.pdf", PROGRAM + b"%PDF-1.4", "executable"),
    ("a Linux program", "tool", b"\x7fELF\x02\x01\x01" + bytes(20), "executable"),
    ("a Mac program", "tool", b"\xcf\xfa\xed\xfe\x07\0\0\x01", "executable"),
    ("a Java class", "A.class", b"\xca\xfe\xba\xbe\0\0\0\x34", "executable"),
    ("a shortcut", "Report.pdf", bytes.fromhex("4c0000000114020000000000c000000000000046"), "executable"),
    ("a Unix script", "notes.txt", b"#!/bin/sh\nrm -rf /\n", "executable"),
    ("a script by its name", "a.js", b"var x = 1;", "executable"),
    ("a script by its name, with blanks behind", "photo.jpg.vbs . ", b"x = 1", "executable"),
    ("a script that begins like a PDF", "a.js", b"//%PDF-1.4\nvar x = 1;", "executable"),
    ("a program nobody could read", "a.exe", b"", "executable"),
    ("a script's name without the script's end", "a.js.txt", b"var x = 1;", "text"),
    ("a Java archive", "data.zip", zipped("META-INF/MANIFEST.MF", "A.class"), "executable"),
    ("an Android package", "data.zip", zipped("AndroidManifest.xml"), "executable"),
    ("an installer", "setup.msi", compound([INSTALLER_STREAM]), "executable"),
    ("an installer called a document", "letter.doc", compound(["x", INSTALLER_STREAM]), "executable"),
    ("a Word document", "a.docx", zipped("[Content_Types].xml", "word/document.xml"), "office"),
    ("a Word document in another order", "a.bin", zipped("docProps/app.xml", "word/document.xml"), "office"),
    ("an Excel file, streamed", "a.xlsx", streamed("docProps/app.xml", "xl/workbook.xml"), "office"),
    ("a Word document with macros", "a.docx", zipped("word/document.xml", "word/vbaProject.bin"), "office with macros"),
    ("macros, streamed", "a.docx", streamed("word/document.xml", "word/vbaProject.bin"), "office with macros"),
    ("macros by the name", "a.XLSM", zipped("[Content_Types].xml"), "office with macros"),
    ("an OpenDocument text", "a.odt", open_document(), "office"),
    ("an old Word document", "a.doc", compound(["WordDocument"]), "office"),
    (
        "an old Word document of large sectors",
        "a.doc",
        compound(["WordDocument", "_VBA_PROJECT"], 4096),
        "office with macros",
    ),
    ("an old Word document with macros", "a.doc", compound(["Macros", "VBA", "_VBA_PROJECT"]), "office with macros"),
    ("an old add-in by its name", "a.xla", compound(["Workbook"]), "office with macros"),
    ("an old Office file, its directory out of sight", "a.ppt", compound([])[:600], "office"),
    ("only the start of an old Office file", "a.doc", bytes.fromhex("d0cf11e0a1b11ae1"), "office"),
    ("RTF", "a.doc", b"{\\rtf1\\ansi Hello}", "office"),
    ("a saved Outlook message", "mail", compound(["__nameid_version1.0"]), "message"),
    ("a saved Outlook message by its name", "mail.msg", compound([]), "message"),
    ("a saved message", "mail.eml", b"From: anna@example.org\r\nSubject: x\r\n\r\nHello", "message"),
    ("a saved message with a web page", "mail.eml", b"From: a@example.org\n\n<html><svg>%PDF-1.4", "message"),
    ("a web page called a message", "mail.eml", b"<html>Hello", "html"),
    ("a PDF", "a.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "pdf"),
    ("a PDF of text only", "a.txt", b"%PDF-1.4\n1 0 obj", "pdf"),
    ("a PDF behind some bytes", "a.pdf", b"\0\0\0junk\n%PDF-1.4", "pdf"),
    ("a text about PDF", "a.txt", b" " * 1024 + b"%PDF-1.4", "text"),
    ("a zip", "a.zip", zipped("a.txt", "b/c.txt"), "archive"),
    ("a zip called a document", "a.docx", zipped("a.txt"), "archive"),
    (
        "a zip with a document inside",
        "a.zip",
        zipped("a.docx", stored=True, content=zipped("word/document.xml")),
        "archive",
    ),
    ("a torn zip", "a.zip", zipped("a.txt")[:20], "archive"),
    ("a gzip", "a.gz", b"\x1f\x8b\x08\0" + bytes(6) + zlib.compress(b"x"), "archive"),
    ("a tar", "a.tar", tarred(), "archive"),
    ("a 7z", "a", b"7z\xbc\xaf\x27\x1c\0\x04" + NOISE, "archive"),
    ("a rar", "a", b"Rar!\x1a\x07\x01\0" + NOISE, "archive"),
    ("a disk image", "a.iso", bytes(32769) + b"CD001\x01", "archive"),
    ("a PNG", "a.png", PNG, "image"),
    ("a PNG called a PDF", "a.pdf", PNG, "image"),
    ("a JPEG", "a", JPEG, "image"),
    ("a bitmap by content and name", "a.bmp", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0" + bytes(40), "image"),
    ("two bytes that meet by chance", "a.dat", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0" + bytes(40), "other"),
    ("an SVG", "a.svg", b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "image"),
    ("sound", "a.wav", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0", "audio"),
    ("sound in Ogg", "a.ogg", b"OggS\0\x02" + bytes(20), "audio"),
    ("film", "a.mp4", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "video"),
    ("an appointment", "invite.ics", b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "calendar"),
    ("an appointment with a mark in front", "x", b"\xef\xbb\xbfbegin:vcalendar\r\n", "calendar"),
    ("winmail.dat", "winmail.dat", b"\x78\x9f\x3e\x22\x01\0", "tnef"),
    ("HTML", "a.txt", b"<!DOCTYPE html><title>x</title>", "html"),
    ("HTML without a head", "a.htm", b"<p>Hello", "html"),
    ("text", "README", "Grüße".encode(), "text"),
    ("text in an old character set", "a.csv", b"M\xfcller;1\r\n", "text"),
    ("text in UTF-16", "a.txt", "Hello".encode("utf-16"), "text"),
    ("a web page in UTF-16", "a", "<html>".encode("utf-16"), "html"),
    ("nothing", "", b"", "text"),
    ("noise", "a.pdf", NOISE, "other"),
    ("a database", "a.db", b"SQLite format 3\0\x10\0\x01\x01", "other"),
)


@pytest.mark.parametrize(("name", "head", "expected"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES])
def test_a_file_is_what_it_holds(name: str, head: bytes, expected: str) -> None:
    """Its content decides; its name only where it adds danger or where the content could be either."""
    assert true_type(head, name) == expected


def test_each_word_of_the_vocabulary_has_an_example() -> None:
    """No kind is promised that no file has."""
    assert {row[3] for row in EXAMPLES} == set(TrueType)


BEGINNINGS = st.sampled_from([b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1"), b"\xff\xfe", b"MZ", b"%PDF-", b""])


@given(BEGINNINGS, st.binary(max_size=300), st.text(max_size=8))
def test_any_bytes_and_any_name_have_a_type(beginning: bytes, rest: bytes, name: str) -> None:
    """Nothing that a sender makes up raises."""
    assert true_type(beginning + rest, name) in TrueType


@given(st.sampled_from([head for _, _, head, _ in EXAMPLES]), st.integers(0, 200), st.binary(max_size=8))
def test_a_damaged_file_has_a_type(head: bytes, at: int, damage: bytes) -> None:
    """Nor does a file that is torn or altered."""
    assert true_type(head[:at] + damage + head[at + len(damage) :], "a") in TrueType
    assert true_type(head[:at], "a") in TrueType


def test_a_zip_of_nothing_but_headers_is_not_slow() -> None:
    """A head full of the smallest entries is read once, from its start to its end."""
    entry = b"PK\x03\x04" + bytes(26)
    assert true_type(entry * 2000, "a.zip") is TrueType.ARCHIVE


@pytest.mark.parametrize("extension", ["msc", "ws", "jnlp", "appref-ms", "library-ms", "MSIX", "slk", "pyw"])
def test_what_a_double_click_starts(extension: str) -> None:
    """Whatever is in it."""
    assert true_type(b"<xml>PK", f"invoice.{extension}") is TrueType.EXECUTABLE


@pytest.mark.parametrize("hidden", ["\u200b", "\xa0", "\u2060", "\u202e", "\x00", " . "])
def test_what_cannot_be_seen_hides_no_extension(hidden: str) -> None:
    """The store would have the name without it, and Windows would start what is in there."""
    assert safe_name(f"invoice.js{hidden}") == "invoice.js"
    assert true_type(b"var a = 1", f"invoice.js{hidden}") is TrueType.EXECUTABLE
