"""What a file really is, told from its first bytes and not from its name.

The library puremagic knows images, sound, film and archives. What matters for a decision about security it misses or
tells too coarsely, so programs, the zip family, OLE files (Office 97-2003, Outlook, Windows Installer), PDF, TNEF and
text are looked at here. A name is believed only where it adds danger: what a double click starts is a program, whatever
it looks like inside, and a name that lets Office run macros is that of a file with macros.
"""

import codecs
import re
from collections.abc import Iterator
from enum import StrEnum

import puremagic

from connector.names import plain


class TrueType(StrEnum):
    """The closed vocabulary of the condition `true_type`."""

    #: Programs, installers, shortcuts and scripts: what a double click starts.
    EXECUTABLE = "executable"
    #: Word, Excel, PowerPoint, Visio, OpenDocument, RTF.
    OFFICE = "office"
    #: An Office file that carries macros, or whose name lets Office run them.
    MACRO = "office with macros"
    PDF = "pdf"
    #: Several files in one, or one compressed; disk images too.
    ARCHIVE = "archive"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    #: A message saved as a file: .eml, .msg.
    MESSAGE = "message"
    CALENDAR = "calendar"
    #: winmail.dat.
    TNEF = "tnef"
    HTML = "html"
    TEXT = "text"
    OTHER = "other"


#: Beginnings that say all.
_STARTS = {
    b"\x7fELF": TrueType.EXECUTABLE,
    # Mach-O in both widths and byte orders, then fat Mach-O, which shares its beginning with Java classes.
    b"\xfe\xed\xfa\xce": TrueType.EXECUTABLE,
    b"\xfe\xed\xfa\xcf": TrueType.EXECUTABLE,
    b"\xce\xfa\xed\xfe": TrueType.EXECUTABLE,
    b"\xcf\xfa\xed\xfe": TrueType.EXECUTABLE,
    b"\xca\xfe\xba\xbe": TrueType.EXECUTABLE,
    # A Windows shortcut ([MS-SHLLINK] 2.1).
    b"L\0\0\0\x01\x14\x02\0": TrueType.EXECUTABLE,
    b"#!": TrueType.EXECUTABLE,
    # [MS-OXTNEF] 2.1.1.
    b"\x78\x9f\x3e\x22": TrueType.TNEF,
    b"{\\rtf": TrueType.OFFICE,
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Names that make Windows, or a desktop of another system, start the file, or what it names; among them those of
#: Microsoft's page "Blocked attachments in Outlook" that do, and queries, which Excel runs.
_STARTED = _words("""
    app appcontent-ms appinstaller application applescript appref-ms appx appxbundle bat cdxml chm cmd com command cpl
    csh desktop diagcab dll exe gadget hlp hta inf iqy jar jnlp js jse ksh library-ms lnk mcf msc msh msh1 msh1xml msh2
    msh2xml mshxml msi msix msixbundle msp mst osd pif pl ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psm1 pssc py pyc pyo pyw
    pyz pyzw rb reg scf scr sct searchconnector-ms settingcontent-ms sh shb shs slk theme url vb vbe vbs vsmacros
    webpnp website ws wsb wsc wsf wsh xbap xll
""")
_MACRO_NAMES = _words("docm dotm potm ppam ppsm pptm sldm xla xlam xlsm xltm")
_ARCHIVES = "7z ace ar arj bz2 bzip2 cab cpio deb dmg gz img iso lz lzh rar rpm tar tgz vhd vhdx wim xz z zip zst"
_PACKED = _words(_ARCHIVES)
#: What the end of a name promises: first what it most likely is.
_PROMISED: dict[str, tuple[TrueType, ...]] = {
    extension: kinds
    for names, kinds in (
        ("pdf", (TrueType.PDF,)),
        (
            """
            doc docm docx dot dotm dotx odp ods odt pot potm potx pps ppsm ppsx ppt pptm pptx rtf vsd vsdx xls xlsb xlsm
            xlsx xlt xltm xltx
            """,
            (TrueType.OFFICE, TrueType.MACRO),
        ),
        ("bmp emf gif heic ico jpeg jpg png svg tif tiff webp wmf", (TrueType.IMAGE,)),
        ("aac avi flac m4a m4v mkv mov mp3 mp4 mpeg mpg ogg wav webm wma wmv", (TrueType.AUDIO, TrueType.VIDEO)),
        (_ARCHIVES, (TrueType.ARCHIVE,)),
        ("csv ini json log md txt xml yaml yml", (TrueType.TEXT, TrueType.HTML, TrueType.CALENDAR)),
        ("htm html xhtml", (TrueType.HTML,)),
        ("eml msg", (TrueType.MESSAGE,)),
        ("ics", (TrueType.CALENDAR,)),
    )
    for extension in _words(names)
}
#: What Windows Installer makes of the name `!_StringData`, a stream that each of its databases has.
_INSTALLER = "\u4840\u3f3f\u4577\u446c\u3b6a\u45e4\u4824"
#: How a message begins (RFC 5322, section 2.2). Appointments and contacts begin otherwise (RFC 5545, RFC 6350).
FIELD = re.compile(rb"[!-9;-~]+:[ \t\r\n]")
_MEDIA = {"image": TrueType.IMAGE, "audio": TrueType.AUDIO, "video": TrueType.VIDEO}


def true_type(head: bytes, name: str) -> TrueType:
    """Tell what a file is from its first bytes; 64 KiB are plenty, fewer tell less. Never raises.

    What lies behind `head` cannot be seen: macros may come late in a large file.
    """
    extension = _extension(name)
    if extension in _STARTED or (head.startswith(b"MZ") and b"\0" in head[:64]):
        return TrueType.EXECUTABLE
    # What its headers and its text say does not make it anything else.
    if extension == "eml" and FIELD.match(head):
        return TrueType.MESSAGE
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    if head.startswith(b"PK\x03\x04"):
        return _zip_type(head, extension)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole_type(head, extension)
    return _unpacked_type(head, extension)


def _unpacked_type(head: bytes, extension: str) -> TrueType:
    # Readers look for it in the first kilobyte.
    if b"%PDF-" in head[:1024]:
        return TrueType.PDF
    text = _text(head)
    return _binary_type(head, extension) if text is None else _text_type(text, extension)


def disguised(kind: TrueType, name: str) -> bool:
    """Whether a file that is of this kind has a name that promises another. What nobody recognises deceives nobody."""
    kinds = _PROMISED.get(_extension(name))
    return kinds is not None and kind is not TrueType.OTHER and kind not in kinds


def promised(name: str) -> TrueType:
    """What a file of this name most likely is."""
    return _PROMISED.get(_extension(name), (TrueType.OTHER,))[0]


def _extension(name: str) -> str:
    """Without its dot, folded, of the name under which it would be stored: what cannot be seen hides nothing there.

    Nor do dots and blanks at its end, which Windows ignores.
    """
    return plain(name).rstrip(". ").rpartition(".")[2].casefold()


def _zip_type(head: bytes, extension: str) -> TrueType:
    names = set(_zip_names(head))
    if names & {"META-INF/MANIFEST.MF", "AndroidManifest.xml", "AppxManifest.xml"}:
        return TrueType.EXECUTABLE
    if extension in _MACRO_NAMES or any(name.endswith("vbaProject.bin") for name in names):
        return TrueType.MACRO
    if "[Content_Types].xml" in names or any(name.startswith(("word/", "xl/", "ppt/", "visio/")) for name in names):
        return TrueType.OFFICE
    # OpenDocument says what it is in its first entry, uncompressed (part 2, section 3.3).
    return TrueType.OFFICE if b"mimetypeapplication/vnd.oasis." in head[:128] else TrueType.ARCHIVE


def _zip_names(head: bytes) -> Iterator[str]:
    """The names in the local headers that lie in `head` (APPNOTE.TXT, section 4.3.7)."""
    at = 0
    while at >= 0:
        packed = int.from_bytes(head[at + 18 : at + 22], "little")
        name_end = at + 30 + int.from_bytes(head[at + 26 : at + 28], "little")
        content = name_end + int.from_bytes(head[at + 28 : at + 30], "little")
        yield head[at + 30 : name_end].decode("utf-8", "replace")
        # Streamed entries say 0 here: the next header is searched from the earliest place where it can be.
        at = head.find(b"PK\x03\x04", content + packed)


def _ole_type(head: bytes, extension: str) -> TrueType:
    names = _ole_names(head)
    if _INSTALLER in names:
        return TrueType.EXECUTABLE
    if "__nameid_version1.0" in names or extension == "msg":
        return TrueType.MESSAGE
    return TrueType.MACRO if "_VBA_PROJECT" in names or extension in _MACRO_NAMES else TrueType.OFFICE


def _ole_names(head: bytes) -> set[str]:
    """The names of streams and storages, as far as the directory lies in `head` ([MS-CFB] 2.2 and 2.6.1)."""
    sector = 512 if head[30:32] == b"\x09\0" else 4096
    directory = (int.from_bytes(head[48:52], "little") + 1) * sector
    entries = (head[at : at + 128] for at in range(directory, len(head), 128))
    return {_ole_name(entry) for entry in entries}


def _ole_name(entry: bytes) -> str:
    length = int.from_bytes(entry[64:66], "little")
    return entry[: max(length - 2, 0)].decode("utf-16-le", "replace")


def _text(head: bytes) -> str | None:
    """The head as text; None where it is binary. UTF-8, UTF-16 with its mark, or an older single-byte set."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return head.decode("utf-16", "replace")
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head):
        return None
    return head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")


def _text_type(text: str, extension: str) -> TrueType:
    start = text[:1024].casefold()
    if start.lstrip().startswith("begin:vcalendar"):
        return TrueType.CALENDAR
    if "<!doctype html" in start or "<html" in start or extension in {"htm", "html", "xhtml", "shtml"}:
        return TrueType.HTML
    if "<svg" in start:
        return TrueType.IMAGE
    return TrueType.MESSAGE if extension == "eml" else TrueType.TEXT


def _binary_type(head: bytes, extension: str) -> TrueType:
    try:
        matches = puremagic.magic_string(head)
    except LookupError:
        return TrueType.OTHER
    kinds = (_puremagic_type(each.mime_type, each.extension[1:]) for each in matches if _believed(each, extension))
    return next((kind for kind in kinds if kind), TrueType.OTHER)


def _believed(match: puremagic.PureMagicWithConfidence, extension: str) -> bool:
    """Two bytes meet by chance; the end of a head is not the end of the file."""
    return match.offset >= 0 and (len(match.byte_match) > 2 or match.extension == f".{extension}")  # noqa: PLR2004


def _puremagic_type(mime_type: str, extension: str) -> TrueType | None:
    if extension.casefold() in _PACKED:
        return TrueType.ARCHIVE
    return TrueType.AUDIO if mime_type == "application/ogg" else _MEDIA.get(mime_type.partition("/")[0])
