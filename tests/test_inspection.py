"""What is told of a file before it moves: encrypted, macros; never less than there is, whatever it does."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pypdf
import pytest
from msoffcrypto.method.ecma376_agile import ECMA376Agile
from pypdf.generic import ArrayObject, DictionaryObject, NameObject

from connector.content import insides, inspection
from connector.content.insides import Found
from connector.content.inspection import inspected
from connector.errors import Unavailable
from connector.spool import spooled
from tests.absent import absent
from tests.cfb import compound
from tests.tnef import winmail

NEITHER, MACROS, ENCRYPTED, BOTH = (False, False), (False, True), (True, False), (True, True)


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP of these files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def asks_for_password(archive: bytes, at: int = 0) -> bytes:
    """The same ZIP, whose entry behind this place says that it is encrypted, in both places where it says so."""
    changed = bytearray(archive)
    changed[archive.index(b"PK\3\4", at) + 6] |= 1
    changed[archive.index(b"PK\1\2", at) + 8] |= 1
    return bytes(changed)


def tarred(files: Mapping[str, bytes]) -> bytes:
    """A tar of these files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def seven(*options: str) -> bytes:
    """What 7-Zip makes of a text with these options."""
    program = shutil.which("7z")
    if program is None:
        absent("7z is not installed (Debian: p7zip-full)")
    with TemporaryDirectory() as folder:
        Path(folder, "a.txt").write_text("Dear all, this is a text.\n" * 100)
        command = [program, "a", *options, "made", "a.txt"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return next(each for each in Path(folder).iterdir() if each.stem == "made").read_bytes()


TYPES = b'<Types><Default Extension="xml" ContentType="application/xml"/></Types>'
DOCUMENT = {"[Content_Types].xml": TYPES, "word/document.xml": b"<w:document/>"}
DOCX = zipped(DOCUMENT)
VBA = compound({"dir": b"", "_VBA_PROJECT": b"\xcc\x61"}, ("VBA",))
DOCM = zipped({**DOCUMENT, "word/vbaProject.bin": VBA})
OPEN = {"mimetype": b"application/vnd.oasis.opendocument.text", "META-INF/manifest.xml": b"<manifest:manifest/>"}
CONTENT_KEY = b"<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>"


def record(kind: int, content: bytes = b"") -> bytes:
    """One of a workbook ([MS-XLS] 2.4)."""
    return struct.pack("<HH", kind, len(content)) + content


def sheet(kind: int) -> bytes:
    """Says that there is a sheet: 0 for cells, 1 for macros of Excel 4."""
    return record(0x85, struct.pack("<IBBB", 0, 0, kind, 1) + b"\0A")


BEGIN, END = record(0x809, bytes(16)), record(0x0A)
TOKEN = struct.pack("<HHIII", 0, 0xFF6, 0x14, 0x14, 0xF3D1C4DF)
VBA_ATOM = bytes.fromhex("1f00ff03 14000000 02000004 0c000000 07000000 01000000 02000000")
NO_VBA_ATOM = VBA_ATOM.replace(bytes.fromhex("07000000 01000000"), bytes.fromhex("07000000 00000000"))


@cache
def office_with_password() -> bytes:
    """As another library encrypts it."""
    made: bytes = ECMA376Agile.encrypt("secret", io.BytesIO(DOCX))
    return made


def pdf(user: str | None = None, owner: str = "owner", algorithm: str = "AES-256") -> bytes:
    """A page of nothing; with passwords, as another library encrypts it."""
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    if user is not None:
        writer.encrypt(user, owner, algorithm=algorithm)
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def pdf_with(name: str, content: bytes, *, note: bool = False, user: str | None = None) -> bytes:
    """A page with a file: of the document, or on a note."""
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(100, 100)
    writer.add_attachment(name, content)
    if note:
        names = writer.root_object.pop(NameObject("/Names")).get_object()
        file = names["/EmbeddedFiles"]["/Names"][1]
        made = {"/Type": "/Annot", "/Subtype": "/FileAttachment"}
        noted = DictionaryObject({NameObject(key): NameObject(value) for key, value in made.items()})
        noted[NameObject("/FS")] = file
        page[NameObject("/Annots")] = ArrayObject([noted, DictionaryObject()])
    if user is not None:
        writer.encrypt(user, "owner", algorithm="AES-256")
    made_of = io.BytesIO()
    writer.write(made_of)
    return made_of.getvalue()


def rtf_with(content: bytes) -> bytes:
    """With an object, as Word writes it: digits in lines."""
    digits = content.hex().encode()
    lines = b"\r\n".join(digits[at : at + 128] for at in range(0, len(digits), 128))
    return b"{\\rtf1{\\object\\objemb{\\*\\objclass Word.Document.12}{\\*\\objdata " + lines + b"}}}"


WORD_XML = (
    b'<?xml version="1.0"?><?mso-application progid="Word.Document"?>'
    b'<w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml" w:macrosPresent="MACROS">'
)
FLAT = b'<?xml version="1.0"?><pkg:package xmlns:pkg="http://schemas.microsoft.com/office/2006/xmlPackage">'


def old_tar(files: Mapping[str, bytes]) -> bytes:
    """A tar with one file as it was before POSIX: its header says nothing but the sum of itself."""
    made = bytearray(tarred(files))
    made[257:265] = bytes(8)
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    return bytes(made)


def saved_message(name: str, content: bytes) -> bytes:
    """A message with a file, as RFC 5322 has it."""
    message = EmailMessage()
    message["Subject"] = "Saved"
    message.set_content("See the file.")
    message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def vint(value: int) -> bytes:
    """A number of RAR 5 that fits into seven bits."""
    return bytes([value])


def rar5(*blocks: bytes) -> bytes:
    """An archive of these blocks: [type, flags, ...], each with its size and checksum before it."""
    framed = [vint(len(block)) + block for block in blocks]
    return b"Rar!\x1a\7\1\0" + b"".join(struct.pack("<I", zlib.crc32(each)) + each for each in framed)


RAR_MAIN, RAR_END = vint(1) + vint(0) + vint(0), vint(5) + vint(0) + vint(0)
#: A stored file of no bytes: extra area, no data, no attributes, no method, on Unix.
RAR_FILE = vint(2) + vint(0) + vint(0) + vint(0) + vint(0) + vint(0) + vint(1) + vint(1) + b"a"
RAR_KEY = vint(48) + vint(1) + vint(0) + vint(0) + vint(15) + bytes(44)
RAR_SECRET = vint(2) + vint(1) + vint(len(RAR_KEY)) + RAR_FILE[2:] + RAR_KEY
RAR_SECRET_HEADERS = vint(4) + vint(0) + vint(0) + vint(0) + vint(15) + bytes(16)

SAMPLES: dict[str, tuple[str, Callable[[], bytes], tuple[bool, bool]]] = {
    "text": ("a.txt", lambda: b"Dear all,\n", NEITHER),
    "nothing at all": ("a.zip", lambda: b"", NEITHER),
    "a picture that a ZIP follows": ("a.gif", lambda: b"GIF89a" + DOCM, NEITHER),
    "zip": ("a.zip", lambda: zipped({"a.txt": b"a", "b/": b""}), NEITHER),
    "an empty zip": ("a.zip", lambda: zipped({}), NEITHER),
    "zip with a password": ("a.zip", lambda: asks_for_password(zipped({"a.txt": b"a"})), BOTH),
    "zip with a password, under another name": ("a.txt", lambda: asks_for_password(zipped({"a.txt": b"a"})), BOTH),
    "zip with a password in a zip": (
        "a.zip",
        lambda: zipped({"x": b"x", "inner.dat": asks_for_password(zipped({"a.txt": b"a"}))}),
        BOTH,
    ),
    "7z": ("a.7z", seven, MACROS),
    "7z with a plain header": ("a.7z", lambda: seven("-mhc=off"), MACROS),
    "7z with a password": ("a.7z", lambda: seven("-psecret"), BOTH),
    "7z with a password and a plain header": ("a.7z", lambda: seven("-psecret", "-mhc=off"), BOTH),
    "7z with a password for its names too": ("a.7z", lambda: seven("-psecret", "-mhe=on"), BOTH),
    "zip with AES": ("a.zip", lambda: seven("-tzip", "-psecret", "-mem=AES256"), BOTH),
    "rar": ("a.rar", lambda: rar5(RAR_MAIN, RAR_FILE, RAR_END), MACROS),
    "rar with a password": ("a.rar", lambda: rar5(RAR_MAIN, RAR_SECRET, RAR_END), BOTH),
    "rar with a password for its names too": ("a.rar", lambda: rar5(RAR_SECRET_HEADERS), BOTH),
    "docx": ("a.docx", lambda: DOCX, NEITHER),
    "docm": ("a.docm", lambda: DOCM, MACROS),
    "docm under another name": ("a.docx", lambda: DOCM, MACROS),
    "a name that lets Office run macros": ("a.docm", lambda: DOCX, MACROS),
    "docm whose project has another name": ("a.docx", lambda: zipped({**DOCUMENT, "word/x.bin": VBA}), MACROS),
    "docm that only its types tell": (
        "a.docx",
        lambda: zipped({"[Content_Types].xml": b"application/vnd.ms-word.document.macroEnabled.main+xml"}),
        MACROS,
    ),
    "types in UTF-16": (
        "a.xlsx",
        lambda: zipped({"[content_types].XML": "application/vnd.ms-excel.macrosheet+xml".encode("utf-16")}),
        MACROS,
    ),
    "types in numbers": (
        "a.xlsx",
        lambda: zipped({"[Content_Types].xml": b"application/vnd.ms-excel.macro&#x73;h&#101;et+xml"}),
        MACROS,
    ),
    "docx with a password": ("a.docx", office_with_password, BOTH),
    "docx with a password in a zip": ("a.zip", lambda: zipped({"a": office_with_password()}), BOTH),
    "docm in a docx": ("a.docx", lambda: zipped({**DOCUMENT, "word/embeddings/a.bin": DOCM}), MACROS),
    "docm in a zip": ("a.zip", lambda: zipped({"a.docx": DOCM}), MACROS),
    "docm in a zip in a zip": ("a.zip", lambda: zipped({"a.zip": zipped({"a.docx": DOCM})}), MACROS),
    "docm in a tar": ("a.tar", lambda: tarred({"b": b"b", "a.docx": DOCM}), MACROS),
    "docm in a tgz": ("a.tgz", lambda: gzip.compress(tarred({"b": b"b" * 100_000, "a.docx": DOCM})), MACROS),
    "docx in a tgz": ("a.tgz", lambda: gzip.compress(tarred({"b": b"b" * 100_000, "a.docx": DOCX})), NEITHER),
    "docm in a txz": ("a.txz", lambda: lzma.compress(tarred({"a.docx": DOCM})), MACROS),
    "docm in bzip2": ("a.bz2", lambda: bz2.compress(DOCM), MACROS),
    "doc": ("a.doc", lambda: compound({"WordDocument": bytes(12)}), NEITHER),
    "doc with macros": ("a.doc", lambda: compound({"WordDocument": bytes(12), "_VBA_PROJECT": b""}), MACROS),
    "doc with a password": ("a.doc", lambda: compound({"WordDocument": bytes(11) + b"\1"}), ENCRYPTED),
    "xls": ("a.xls", lambda: compound({"Workbook": BEGIN + sheet(0) + END}), NEITHER),
    "xls with a password": ("a.xls", lambda: compound({"Workbook": BEGIN + record(0x2F, bytes(6)) + END}), BOTH),
    "xls with macros": ("a.xls", lambda: compound({"Workbook": BEGIN + END}, ("_VBA_PROJECT_CUR",)), MACROS),
    "xls with macros of Excel 4": ("a.xls", lambda: compound({"Book": BEGIN + sheet(0) + sheet(1) + END}), MACROS),
    "xls that ends too soon": ("a.xls", lambda: compound({"Workbook": BEGIN + record(0x85, b"\0" * 8000)}), BOTH),
    "ppt": ("a.ppt", lambda: compound({"PowerPoint Document": NO_VBA_ATOM, "Current User": bytes(20)}), NEITHER),
    "ppt with macros": ("a.ppt", lambda: compound({"PowerPoint Document": b"x" * 99 + VBA_ATOM}), MACROS),
    "ppt with a password": ("a.ppt", lambda: compound({"Current User": TOKEN}), ENCRYPTED),
    "odt": ("a.odt", lambda: zipped({**OPEN, "Basic/Standard/script-lb.xml": b""}), NEITHER),
    "odt with macros": ("a.odt", lambda: zipped({**OPEN, "Basic/Standard/Module1.xml": b""}), MACROS),
    "odt with a script": ("a.odt", lambda: zipped({**OPEN, "Scripts/python/a.py": b""}), MACROS),
    "odt with a password": ("a.odt", lambda: zipped({**OPEN, "META-INF/manifest.xml": CONTENT_KEY}), ENCRYPTED),
    "pdf": ("a.pdf", pdf, NEITHER),
    "pdf with a password": ("a.pdf", lambda: pdf("secret"), ENCRYPTED),
    "pdf with an old password": ("a.pdf", lambda: pdf("secret", algorithm="RC4-128"), ENCRYPTED),
    "pdf that only must not be changed": ("a.pdf", lambda: pdf(""), NEITHER),
    "pdf that says it in numbers": ("a.pdf", lambda: b"%PDF-1.7\ntrailer <</#45ncryp#74 7 0 R>>", ENCRYPTED),
    "pdf that keeps its properties open": ("a.pdf", lambda: b"%PDF-1.7\n<</EncryptMetadata false>>", NEITHER),
    "pdf that says it far behind": (
        "a.pdf",
        lambda: b"%PDF-1.7\n" + b" " * (256 * 1024 - 14) + b"/Encrypt 7",
        ENCRYPTED,
    ),
    "docm attached to a pdf": ("a.pdf", lambda: pdf_with("a.docm", DOCM), MACROS),
    "docx attached to a pdf": ("a.pdf", lambda: pdf_with("a.docx", DOCX), NEITHER),
    "docm on a note in a pdf": ("a.pdf", lambda: pdf_with("a.docm", DOCM, note=True), MACROS),
    "docm attached to a pdf that only must not be changed": ("a.pdf", lambda: pdf_with("a", DOCM, user=""), MACROS),
    "docm attached to a pdf with a password": ("a.pdf", lambda: pdf_with("a", DOCM, user="secret"), ENCRYPTED),
    "pdf whose files nobody finds": ("a.pdf", lambda: b"%PDF-1.7\n<</Type /EmbeddedFile>>", MACROS),
    "pdf that says in numbers that it has files": ("a.pdf", lambda: b"%PDF-1.7\n<</Type /#45mbedded#46ile>>", MACROS),
    "pdf that says far behind, in numbers, that it has files": (
        "a.pdf",
        lambda: b"%PDF-1.7\n" + b" " * (256 * 1024 - 54) + b"/" + b"".join(b"#%x" % each for each in b"FileAttachment"),
        MACROS,
    ),
    "pdf whose files are not where it says": ("a.pdf", lambda: pdf_with("a", DOCM).replace(b"/EF", b"/EG"), MACROS),
    "rtf": ("a.rtf", lambda: b"{\\rtf1 Hello\\par}", NEITHER),
    "rtf with a document with macros": ("a.doc", lambda: rtf_with(b"\1\5\0\0" + DOCM), MACROS),
    "rtf with a document of 2003 with macros": (
        "a.rtf",
        lambda: rtf_with(b"\1\5\0\0" + compound({"WordDocument": bytes(12)}, ("_VBA_PROJECT",))),
        MACROS,
    ),
    "rtf with a document": ("a.rtf", lambda: rtf_with(DOCX), NEITHER),
    "rtf with an object that nobody knows": ("a.rtf", lambda: rtf_with(b"abc"), MACROS),
    "rtf with an object that is hidden": ("a.rtf", lambda: b"{\\rtf1{\\object{\\*\\objdata 0{}1}}}", MACROS),
    "rtf whose object is no number": ("a.rtf", lambda: b"{\\rtf1{\\*\\objdata 0g}}", MACROS),
    "rtf whose object is named otherwise": ("a.rtf", lambda: b"{\\rtf1{\\*\\objdata7 00}}", MACROS),
    "rtf that is too large": ("a.rtf", lambda: b"{\\rtf1" + b" " * 64 * 1024 * 1024, BOTH),
    "xml of Word 2003": ("a.xml", lambda: WORD_XML.replace(b"MACROS", b"no"), NEITHER),
    "xml of Word 2003 with macros": ("a.doc", lambda: WORD_XML.replace(b"MACROS", b"yes"), MACROS),
    "xml of Word 2003 with their data": ("a.xml", lambda: WORD_XML + b"<w:docSuppData>", MACROS),
    "xml of Word 2003 in UTF-16": (
        "a.xml",
        lambda: WORD_XML.replace(b"MACROS", b"yes").decode().encode("utf-16"),
        MACROS,
    ),
    "xml of Word 2003 that is too large": ("a.xml", lambda: WORD_XML + b" " * 64 * 1024 * 1024, BOTH),
    "a package as xml with macros": ("a.xml", lambda: FLAT + b'<pkg:part pkg:name="/word/vbaProject.bin"/>', MACROS),
    "a package as xml": ("a.xml", lambda: FLAT, NEITHER),
    "macros of a web page of Word": ("a.mso", lambda: b"ActiveMime\0\0", MACROS),
    "PGP": ("a.asc", lambda: b"-----BEGIN PGP MESSAGE-----\n\nabc", BOTH),
    "eml": ("a.eml", lambda: saved_message("a.docx", DOCX), NEITHER),
    "docm in an eml": ("a.eml", lambda: saved_message("a.docx", DOCM), MACROS),
    "docm in an eml in a zip": ("a.zip", lambda: zipped({"a.EML.": saved_message("a.docx", DOCM)}), MACROS),
    "docm in an eml in an eml": ("a.eml", lambda: saved_message("a.eml", saved_message("a", DOCM)), MACROS),
    "docx in an eml in a tar": ("a.tar", lambda: tarred({"a.eml": saved_message("a.docx", DOCX)}), NEITHER),
    "eml in a zip in a zip, and so on": (
        "a.zip",
        lambda: zipped({"a": zipped({"a": zipped({"a": zipped({"a.eml": saved_message("a", b"a")})})})}),
        BOTH,
    ),
    "docm in an eml that looks like a web page": (
        "a.eml",
        lambda: b"X-A: <html>\r\n" + saved_message("a.docx", DOCM),
        MACROS,
    ),
    "docm in an eml that looks like a PDF": ("a.eml", lambda: b"X-A: %PDF-1.4\n" + saved_message("a", DOCM), MACROS),
    "docm in an eml in a zip that looks like RTF": (
        "a.zip",
        lambda: zipped({"a.eml": b"{\\rtf1: \n" + saved_message("a", DOCM)}),
        MACROS,
    ),
    "a web page of Word with macros": (
        "a.doc",
        lambda: saved_message("editdata.mso", b"ActiveMime" + bytes(99)),
        MACROS,
    ),
    "a web page of Word with macros in a zip": (
        "a.zip",
        lambda: zipped({"a.doc": b"\r\n" + saved_message("editdata.mso", b"ActiveMime" + bytes(99))}),
        MACROS,
    ),
    "a web page of Word": ("a.mht", lambda: saved_message("a.png", b"\x89PNG"), NEITHER),
    "a text about messages": ("a.txt", lambda: b"Hello\nMIME-Version: 1.0\n" * 9, NEITHER),
    "docm in a msg": ("a.msg", lambda: compound({"__substg1.0_37010102": DOCM}), MACROS),
    "docx in a msg": ("a.msg", lambda: compound({"__substg1.0_37010102": DOCX}), NEITHER),
    "docm in winmail.dat": ("winmail.dat", lambda: winmail([("a.txt", b"a"), ("a.docx", DOCM)]), MACROS),
    "docx in winmail.dat": ("winmail.dat", lambda: winmail([("a.docx", DOCX)]), NEITHER),
    "zip with a password in winmail.dat": (
        "a.bin",
        lambda: winmail([("a", asks_for_password(zipped({"a.txt": b"a"})))]),
        BOTH,
    ),
    "docm in winmail.dat in a zip": ("a.zip", lambda: zipped({"a": winmail([("a.docx", DOCM)])}), MACROS),
    "docm in winmail.dat in an eml": ("a.eml", lambda: saved_message("a", winmail([("a.docx", DOCM)])), MACROS),
    "winmail.dat that is cut off": ("winmail.dat", lambda: winmail([("a.txt", b"a")])[:-1], BOTH),
    "winmail.dat in winmail.dat": ("winmail.dat", lambda: winmail([("a", winmail([]))]), BOTH),
    "a zip that is cut off": ("a.zip", lambda: zipped({"a.txt": b"a" * 999})[:-30], BOTH),
    "a zip with wrong bytes": ("a.zip", lambda: DOCX.replace(b"\x78", b"\x79")[: len(DOCX)], NEITHER),
    "a compound file that is cut off": ("a.doc", lambda: compound({"WordDocument": bytes(12)})[:1024], BOTH),
    "a 7z that is cut off": ("a.7z", lambda: seven()[:-1], BOTH),
    "a 7z of nothing": ("a.7z", lambda: b"7z\xbc\xaf\x27\x1c\0\4" + bytes(24), NEITHER),
    "a rar that is cut off": ("a.rar", lambda: rar5(RAR_MAIN, RAR_FILE)[:14], BOTH),
    "a gzip that is cut off": ("a.gz", lambda: gzip.compress(DOCX)[:-20], BOTH),
    "an archive of a kind that nobody here knows": ("a.cab", lambda: b"MSCF" + bytes(99), BOTH),
    "a zip with something before it": ("a.zip", lambda: b"\n" + zipped({"a.txt": b"a"}), BOTH),
    "a disk image": ("a.iso", lambda: bytes(32769) + b"CD001" + bytes(2048), BOTH),
    "a disk image in a zip": ("a.zip", lambda: zipped({"a.iso": bytes(32769) + b"CD001" + bytes(2048)}), BOTH),
    "a disk of Windows in a zip": ("a.zip", lambda: zipped({"a": b"vhdxfile" + bytes(99)}), BOTH),
    "a disk as it is": ("a.vhd", lambda: b"\x33\xc0\x8e\xd0" + bytes(2048), BOTH),
    "a zip with something before it in a zip": ("a.zip", lambda: zipped({"a.zip": b"\n" + zipped({"a": b"a"})}), BOTH),
    "docm in an old tar in a gzip": ("a.tgz", lambda: gzip.compress(old_tar({"a.docx": DOCM})), MACROS),
    "docm in an old tar in a zip": ("a.zip", lambda: zipped({"a": old_tar({"a.docx": DOCM})}), MACROS),
    "a zip in a zip, and so on": (
        "a.zip",
        lambda: zipped({"a": zipped({"a": zipped({"a": zipped({"a": zipped({"a": b"a"})})})})}),
        BOTH,
    ),
    "a bomb that is of no interest": ("a.zip", lambda: zipped({"a.txt": bytes(200 * 1024 * 1024)}), NEITHER),
    "a bomb": ("a.zip", lambda: zipped({"a.pdf": b"%PDF-" + bytes(65 * 1024 * 1024)}), BOTH),
    "too many files": ("a.zip", lambda: zipped({str(each): b"" for each in range(20_001)}), BOTH),
}


def told(content: bytes, name: str) -> tuple[bool, bool]:
    """Encrypted, and macros."""
    with spooled(io.BytesIO(content)) as spool:
        found = inspected(spool, name)
    return found.encrypted, found.macros


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_is_told(sample: str) -> None:
    """By a process of its own."""
    name, made, expected = SAMPLES[sample]
    assert told(made(), name) == expected


def in_this_process(content: bytes) -> Found:
    """What is seen in it, without the price of a process."""
    return insides._Look().into(io.BytesIO(content))


@pytest.mark.parametrize("sample", ["docm under another name", "zip with a password in a zip", "xls with a password"])
def test_cut_off_anywhere(sample: str) -> None:
    """It never looks harmless, as long as its beginning says what it is."""
    content = SAMPLES[sample][1]()
    for at in range(8, len(content), max(1, len(content) // 500)):
        assert in_this_process(content[:at]), at


@pytest.mark.parametrize("sample", ["docm in a zip", "7z with a password", "pdf with a password", "doc with macros"])
def test_one_bit_is_wrong(sample: str) -> None:
    """Whatever it is, there is an answer."""
    content = SAMPLES[sample][1]()
    for at in range(0, len(content), max(1, len(content) // 500)):
        in_this_process(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])


# --- what is embedded in old files of Office ----------------------------------------------------------------------

XLS_CLOSED, XLS_MACROS = BEGIN + record(0x2F, bytes(6)) + END, BEGIN + sheet(1) + END
#: A file in an object of the Packager: label, path, and path on the way.
PACKAGER = b"\2\0a.docx\0C:\\a.docx\0\0\0\3\0\4\0\0\0C:\\\0"


def packaged(content: bytes) -> bytes:
    """As the Packager of Windows wraps it."""
    wrapped = PACKAGER + struct.pack("<I", len(content)) + content + b"and names again"
    return struct.pack("<I", len(wrapped)) + wrapped


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("WordDocument", bytes(11) + b"\1", Found.ENCRYPTED),
        ("Workbook", XLS_CLOSED, insides.CLOSED),
        ("Workbook", XLS_MACROS, Found.MACROS),
        ("Workbook", BEGIN + sheet(0) + END, insides.NOTHING),
        ("PowerPoint Document", VBA_ATOM, Found.MACROS),
        ("Macros/VBA/_VBA_PROJECT", b"\xcc\x61", Found.MACROS),
        ("Package", DOCX, insides.NOTHING),
        ("Package", DOCM, Found.MACROS),
        ("package", DOCM[:-30], Found.NOT_SEEN),
        ("\1Ole10Native", packaged(DOCX), insides.NOTHING),
        ("\1Ole10Native", packaged(DOCM), Found.MACROS),
        ("\1Ole10Native", packaged(b"PK\3\4"), Found.NOT_SEEN),
        ("\1Ole10Native", b"in another way: " + DOCM, Found.MACROS),
        ("\1Ole10Native", struct.pack("<I", 99) + b"BM a picture", insides.NOTHING),
        ("\1CompObj", XLS_MACROS, insides.NOTHING),
    ],
)
def test_what_is_embedded_in_an_old_file(name: str, content: bytes, expected: Found) -> None:
    """As deep as it lies, it is looked into as if it were a file of its own."""
    plain_stream = {"WordDocument": bytes(12), "1Table": b"t"}
    for above in ("", "ObjectPool/_1234/", "MBD0001/MBD0002/"):
        streams = {**plain_stream, f"{above}{name}": content, "Data": b"d"}
        assert in_this_process(compound(streams)) == expected, above


def test_as_many_embedded_files_as_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """They count like those of an archive, and are no deeper than they say."""
    streams = {f"ObjectPool/_{number}/Package": DOCX for number in range(4)}
    assert in_this_process(compound(streams)) == insides.NOTHING
    monkeypatch.setattr(insides, "MOST_FILES", 8)
    assert in_this_process(compound(streams)) == Found.NOT_SEEN
    monkeypatch.undo()
    nested = DOCX
    for _ in range(insides.DEEPEST):
        nested = compound({"Package": nested})
    assert in_this_process(nested) == Found.NOT_SEEN


def damaged(at: str, value: int, content: bytes = XLS_CLOSED) -> bytes:
    """A workbook in a document, in whose directory or table (FAT) one number is another."""
    made = bytearray(compound({"WordDocument": bytes(12), "ObjectPool/_1/Workbook": content}))
    directory, table = (512 + 512 * struct.unpack_from("<I", made, place)[0] for place in (48, 76))
    entries = {"document": 1, "pool": 2, "object": 3, "workbook": 4}
    entry, _, field = at.partition(" ")
    fields = {"left": 68, "right": 72, "child": 76, "start": 116, "size": 120}
    place = directory + 128 * entries[entry] + fields[field] if entry in entries else 0
    place = table + 4 * int(field) if entry == "table" else place
    place = {"header tables": 44, "header more": 68, "header directory": 48}.get(at, place)
    struct.pack_into("<I", made, place, value)
    return bytes(made)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ("table 0", 0),
        ("table 8", 9),
        ("table 8", 0),
        ("table 9", 0xFFFFFFFF),
        ("table 9", 0x7FFFFFFF),
        ("table 16", 16),
        ("document right", 1),
        ("document right", 0),
        ("document right", 0xFFFFFFFF - 9),
        ("pool child", 1),
        ("pool child", 2),
        ("object child", 2),
        ("workbook right", 4),
        ("workbook left", 3),
        ("workbook start", 0x7FFFFFFF),
        ("workbook size", 0x7FFFFFFF),
        ("workbook size", 5000),
        ("header directory", 0x7FFFFFFF),
        ("header tables", 0x7FFFFFFF),
        ("header more", 1),
    ],
)
def test_an_old_file_that_leads_in_circles_or_too_far(at: str, value: int) -> None:
    """Whoever follows chains and siblings comes to an end; what was not seen is not taken for harmless."""
    assert in_this_process(damaged("workbook left", 0xFFFFFFFF)) == insides.CLOSED
    assert in_this_process(damaged(at, value)) in (insides.CLOSED, Found.NOT_SEEN)


def test_one_damaged_entry_hides_no_other() -> None:
    """What can be seen is seen."""
    archive = bytearray(zipped({"a.txt": b"a" * 99, "b.docx": DOCM}, zipfile.ZIP_STORED))
    archive[archive.index(b"aaaa")] ^= 1
    assert in_this_process(bytes(archive)) == Found.NOT_SEEN | Found.MACROS


def test_compressed_data_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tar of which each file is of interest comes to the end of what is unpacked in all."""
    monkeypatch.setattr(insides, "MOST_BYTES", 100_000)
    content = tarred({str(each): b"%PDF-" + bytes(30_000) for each in range(4)})
    assert in_this_process(content) == Found.NOT_SEEN
    monkeypatch.setattr(insides, "MOST_BYTES", 200_000)
    assert in_this_process(content) == insides.NOTHING


# --- a look that goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "does",
    [
        "exec('while True: pass')",
        "time.sleep(60)",
        "x = bytearray(1 << 31)",
        "os.abort()",
        "sys.exit(0)",
        "sys.exit(1)",
        "os._exit(0x60)",
        "os.fork()",
    ],
)
def test_a_look_that_goes_wrong(monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """Whatever keeps it from its answer: the file is told as what it might be."""
    first = "import os, sys, time; from connector.content import insides; insides.confine(*map(int, sys.argv[2:]));"
    monkeypatch.setattr(inspection, "COMMAND", (sys.executable, "-I", "-c", f"{first}{does}"))
    monkeypatch.setattr(inspection, "LIMITS", replace(inspection.LIMITS, seconds=1, timeout=3))
    assert told(DOCX, "a.docx") == BOTH


def test_too_large_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started; nor for what has nothing in it."""
    monkeypatch.setattr(inspection, "COMMAND", ("/nonexistent",))
    monkeypatch.setattr(inspection, "LIMITS", replace(inspection.LIMITS, size=len(DOCX) - 1))
    assert told(DOCX, "a.docx") == BOTH
    assert told(b"GIF89a" + bytes(99_999), "a.gif") == NEITHER


def test_a_machine_that_cannot_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no fault of the file, which waits."""
    monkeypatch.setattr(inspection, "COMMAND", ("/nonexistent",))
    with pytest.raises(Unavailable):
        told(DOCX, "a.docx")


def test_real_messages_of_outlook() -> None:
    """Nothing in them that is not there, and each is understood."""
    default = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("CONNECTOR_TEST_DATA") or default) / "mail"
    if "CONNECTOR_TEST_DATA" not in os.environ and not folder.is_dir():
        pytest.skip("no sample mail beside the project: set CONNECTOR_TEST_DATA")
    real = [each.read_bytes() for each in folder.glob("*/*.msg")]
    compounds = [each for each in real if each.startswith(b"\xd0\xcf\x11\xe0")]
    assert len(compounds) > 20
    assert {in_this_process(each) for each in compounds} == {insides.NOTHING}
