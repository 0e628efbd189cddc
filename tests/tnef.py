"""Writes winmail.dat, right or wrong, by [MS-OXTNEF]; shares no code with what reads it."""

import os
import struct
from collections.abc import Iterable
from typing import BinaryIO

import pytest

from connector.content import unpack
from connector.spool import Spool

SIGNATURE = struct.pack("<IH", 0x223E9F78, 1)
MESSAGE, ATTACHMENT = 1, 2
#: Ids with their types.
VERSION, CODEPAGE, CLASS, PROPERTIES = 0x00089006, 0x00069007, 0x00078008, 0x00069003
BEGINS, TITLE, DATA, OF_ATTACHMENT = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
LONG_NAME, OBJECT = 0x3707001F, 0x3701000D


def attribute(level: int, kind: int, value: bytes, *, length: int | None = None, checksum: int | None = None) -> bytes:
    """One attribute; with a length or a checksum that lies, where one is given."""
    announced = len(value) if length is None else length
    summed = sum(value) & 0xFFFF if checksum is None else checksum
    return struct.pack("<BII", level, kind, announced) + value + struct.pack("<H", summed)


def properties(*told: tuple[int, bytes], count: int | None = None) -> bytes:
    """MAPI properties, each of one value."""
    packed = (struct.pack("<III", tag, 1, len(value)) + value + bytes(-len(value) % 4) for tag, value in told)
    return struct.pack("<I", len(told) if count is None else count) + b"".join(packed)


def unicode(text: str) -> bytes:
    """A string as MAPI keeps it."""
    return f"{text}\0".encode("utf-16-le")


def attachment(name: str, content: bytes, *, long: str | None = None) -> bytes:
    """A file, named as DOS does, and by a long name too."""
    parts = [
        attribute(ATTACHMENT, BEGINS, struct.pack("<HIIIH", 1, 0xFFFFFFFF, 0, 0, 0)[:14]),
        attribute(ATTACHMENT, TITLE, f"{name}\0".encode("cp1252")),
        attribute(ATTACHMENT, DATA, content),
    ]
    if long is not None:
        parts.append(attribute(ATTACHMENT, OF_ATTACHMENT, properties((LONG_NAME, unicode(long)))))
    return b"".join(parts)


def begun(message_class: str = "IPM.Microsoft Mail.Note") -> bytes:
    """What stands before the files."""
    return (
        SIGNATURE
        + attribute(MESSAGE, VERSION, struct.pack("<I", 0x10000))
        + attribute(MESSAGE, CODEPAGE, struct.pack("<II", 1252, 0))
        + attribute(MESSAGE, CLASS, f"{message_class}\0".encode("ascii"))
    )


def winmail(files: Iterable[tuple[str, bytes]], message_class: str = "IPM.Microsoft Mail.Note") -> bytes:
    """winmail.dat, with files of these names."""
    return begun(message_class) + b"".join(attachment(name, content) for name, content in files)


def remember(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real process unpacks, once for the same bytes: to start it takes longer than all the rest of a test."""
    real, known = unpack._run, dict[str, bytes]()

    def run(content: Spool, output: BinaryIO) -> None:
        if content.sha256 not in known:
            real(content, output)
            known[content.sha256] = os.pread(output.fileno(), 1 << 20, 0)
            return
        output.write(known[content.sha256])
        output.flush()

    monkeypatch.setattr(unpack, "_run", run)
