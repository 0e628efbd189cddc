"""Takes the files out of winmail.dat ([MS-OXTNEF]) in a process of its own: hostile bytes meet an old parser only here.

    python -I -m connector.content.tnef SECONDS MEMORY OUTPUT < winmail.dat > what `unpack` reads

It may use so many seconds of a processor, and so many bytes of memory and of output, and starts nothing. The parser
guesses where a stream is cut off, damaged or lies about lengths; so what is not understood to the last byte is refused,
and winmail.dat stays as it is. The exit code says why; any other says that the parser did not get through.

What it writes: the length of the index in 8 bytes, the index as JSON, and the bytes of all files one after the other.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator
from enum import IntEnum
from errno import ENOSPC
from typing import Any, BinaryIO, NamedTuple, NoReturn

from connector.content.confined import confine

#: No winmail.dat that people send has more attributes, and the time that the parser takes grows with their square.
MOST_ATTRIBUTES = 10_000

#: Of winmail.dat ([MS-OXTNEF] 2.1.1).
SIGNATURE = b"\x78\x9f\x3e\x22"
#: The signature, and a key that says nothing.
_HEADER = 6
#: Level, id and type of an attribute stand before its length; with that and the checksum they frame its value.
_LENGTH, _VALUE, _FRAME = 5, 9, 11


class Refusal(IntEnum):
    """Why winmail.dat stays as it is. Exit codes."""

    #: Cut off, damaged, or no winmail.dat at all.
    NOT_UNDERSTOOD = 10
    #: It holds a message, which may be another winmail.dat, or an object of OLE.
    NO_FILE = 11
    #: It is named like a path.
    PATH = 12
    TOO_MUCH = 13
    #: Our own trouble, which passes.
    NO_ROOM = 14


class Packed(NamedTuple):
    """A file in winmail.dat."""

    name: str
    content: bytes


class _Strict(logging.Handler):
    """What the parser only warns of, it has guessed."""

    def emit(self, record: logging.LogRecord) -> NoReturn:  # noqa: ARG002 - logging's
        sys.exit(Refusal.NOT_UNDERSTOOD)


def main() -> None:
    """Read winmail.dat, and write what is in it."""
    confine(*map(int, sys.argv[1:]))
    message_class, files = understood(sys.stdin.buffer.read())
    try:
        _tell(message_class, files, sys.stdout.buffer)
    except OSError as error:
        # At once: Python would try to write the rest, fail, and end with a code of its own.
        os._exit(Refusal.NO_ROOM if error.errno == ENOSPC else Refusal.TOO_MUCH)


def understood(content: bytes) -> tuple[str, list[Packed]]:
    """The class of the message that was packed ("" where it has none), and its files.

    Raises SystemExit with a `Refusal` where not all of it is understood, and whatever the parser likes.
    """
    from tnefparse import TNEF  # noqa: PLC0415 - the daemon imports this module for its words, and no parser with it

    attributes = _attributes(content)
    logging.getLogger("tnefparse").addHandler(_Strict(logging.WARNING))
    parsed = TNEF(content)
    if len(parsed.objects) != attributes:
        sys.exit(Refusal.NOT_UNDERSTOOD)  # Where the last one is short, the parser leaves it out.
    classes = [each.data for each in parsed.msgprops if each.name == TNEF.ATTMESSAGECLASS]
    return str(next(iter(classes), "")), list(_files(parsed))


def _attributes(content: bytes) -> int:
    """How many there are, each of them whole."""
    if not content.startswith(SIGNATURE):
        sys.exit(Refusal.NOT_UNDERSTOOD)
    count, at = 0, _HEADER
    while at < len(content):
        length = int.from_bytes(content[at + _LENGTH : at + _VALUE], "little")
        count, at = count + 1, at + _FRAME + length
        if count > MOST_ATTRIBUTES:
            sys.exit(Refusal.TOO_MUCH)
    if at != len(content):
        sys.exit(Refusal.NOT_UNDERSTOOD)
    return count


def _files(parsed: Any) -> Iterator[Packed]:
    """Every attachment, if each is a file whose bytes stand in the stream as they are.

    What stands among the MAPI properties of one is a message or an object, and the parser cuts its end off.
    """
    for attachment, attributes in zip(parsed.attachments, _by_attachment(parsed), strict=True):
        content = [each.data for each in attributes if each.name == parsed.ATTATTACHDATA]
        if len(content) != 1 or attachment.data is not content[0]:
            sys.exit(Refusal.NO_FILE)
        if content[0].startswith(SIGNATURE):
            sys.exit(Refusal.NO_FILE)  # Nobody would be asked about what is in that.
        name = _name(attachment, attributes, parsed)
        if "/" in name or "\\" in name:
            sys.exit(Refusal.PATH)
        yield Packed(name, content[0])


def _by_attachment(parsed: Any) -> list[list[Any]]:
    """The attributes of each attachment; the first of them begins it."""
    found: list[list[Any]] = []
    for each in parsed.objects:
        if each.name == parsed.ATTATTACHRENDDATA:
            found.append([])
        elif each.level == parsed.LVL_ATTACHMENT:
            found[-1].append(each)
    return found


def _name(attachment: Any, attributes: list[Any], parsed: Any) -> str:
    """The long name, or else the short one, which the parser takes for UTF-8."""
    from tnefparse import properties  # noqa: PLC0415 - as above

    long = [each.data for each in attachment.mapi_attrs if each.name == properties.MAPI_ATTACH_LONG_FILENAME]
    short = [each.data.decode(parsed.codepage) for each in attributes if each.name == parsed.ATTATTACHTITLE]
    return str(next(iter((*long, *short)), "")).rstrip("\0")


def _tell(message_class: str, files: list[Packed], output: BinaryIO) -> None:
    told = {"message_class": message_class, "files": [(each.name, len(each.content)) for each in files]}
    index = json.dumps(told).encode()
    output.writelines((len(index).to_bytes(8, "big"), index, *(each.content for each in files)))
    output.flush()


if __name__ == "__main__":
    main()
