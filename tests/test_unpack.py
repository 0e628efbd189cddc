"""winmail.dat is unpacked by a process of its own: right, or not at all, whatever is in it and whatever it does."""

import io
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path

import pytest

from connector.content import tnef, unpack
from connector.content.unpack import NotUnpacked, unpacked
from connector.errors import Unavailable
from connector.spool import Spool, spooled
from tests.tnef import (
    ATTACHMENT,
    BEGINS,
    CODEPAGE,
    DATA,
    MESSAGE,
    OBJECT,
    OF_ATTACHMENT,
    PROPERTIES,
    SIGNATURE,
    TITLE,
    attachment,
    attribute,
    begun,
    properties,
    winmail,
)

FILES = [("a.pdf", b"%PDF-1.7 a"), ("b.bin", bytes(range(256)) + bytes(9)), ("a.pdf", b"%PDF-1.7 other")]
GOOD = winmail(FILES)

DAMAGED = "winmail.dat is cut off, damaged, or something else"
NO_FILE = "winmail.dat holds a message or an object, which is no file"
PATH = "winmail.dat holds a file that is named like a path"
TOO_MUCH = "winmail.dat holds too much"
EMPTY = "winmail.dat holds no file"
NOT_READ = "winmail.dat could not be read, or only with more time or memory than it may take"


@contextmanager
def spool(content: bytes) -> Iterator[Spool]:
    """Bytes on their way from a message."""
    with spooled(io.BytesIO(content)) as made:
        yield made


def found(content: bytes) -> list[tuple[str, bytes]]:
    """Name and bytes of each file in it."""
    with spool(content) as packed, unpacked(packed) as files:
        return [(each.name, _bytes(each)) for each in files]


def _bytes(each: unpack.Found) -> bytes:
    with each.spooled() as content:
        read = content.content.read()
    assert len(read) == content.size == each.size
    assert sha256(read).hexdigest() == content.sha256
    return read


def refused(content: bytes) -> str:
    """Why it stays as it is."""
    with pytest.raises(NotUnpacked) as raised:
        found(content)
    return str(raised.value)


# --- what is right ------------------------------------------------------------------------------------------------


def test_files_come_out_as_they_went_in() -> None:
    """In their order, to the byte, also NULs at the end; and so they do again."""
    assert found(GOOD) == FILES
    assert found(GOOD) == FILES


def test_names() -> None:
    """The long name where there is one, or else the short one in the code page of the sender."""
    content = begun() + attachment("LONG~1.TXT", b"1", long="Jahresabschluß 2026.txt") + attachment("Grüße.txt", b"2")
    unnamed = attribute(ATTACHMENT, BEGINS, bytes(14)) + attribute(ATTACHMENT, DATA, b"3")
    names = [name for name, _ in found(content + unnamed + attribute(ATTACHMENT, TITLE, b"\0\0"))]
    assert names == ["Jahresabschluß 2026.txt", "Grüße.txt", ""]


def test_a_spool_that_lies_on_disk_is_read_from_its_beginning() -> None:
    """Whoever read in it before or after: two processes that share a descriptor share its place."""
    content = winmail([("big.bin", os.urandom(9 * 1024 * 1024)), ("small.txt", b"small")])
    with spool(content) as packed:
        packed.content.seek(1000)
        with unpacked(packed) as files:
            assert [each.size for each in files] == [9 * 1024 * 1024, 5]
        packed.content.seek(0)
        assert packed.content.read() == content


# --- what others send ---------------------------------------------------------------------------------------------

#: What Debian's tnef 1.4.18, which shares no code with our parser, takes out of them.
TAKEN_OUT = {
    "apache__tika/testWINMAIL.dat": {
        "quick.doc": "1240639edc264abf046523eed4bd0a154b0c4e487a9ec8b74be9d0c51b7de124",
        "quick.html": "5e7daab0b3edcfeec62bbde2371c95fc4fe7099469448abcee94cd49ffba072e",
        "quick.pdf": "263bea348ce44185f191b32efee29be44ef7ef7cc45ed32b9ae6753b1103d7d0",
        "quick.txt": "becf39adaa5a3526600ed1d443b5fd382e9879c219a08d183c0660382c59fb56",
        "quick.xml": "cc1704ac3bf0c4b83388c4e1912bbca08cc4dadcfc551521112b55794770a20c",
    },
    "jstedfast__MimeKit/attachments.tnef": {
        "zappa_av1.jpg": "bea844f30e0fcc20fad419a0d11032a6465da93c1da185a1196949955994409a",
        "bookmark.htm": "1e08d6e23c75ff80ac992eebc24c2943c7843b7dfee235966b37de5eb4362599",
    },
}
STAYS = {
    "aspose-email__Aspose_Email-for-_NET/tnefWithMsgInside.eml": DAMAGED,
    "jstedfast__MimeKit/christmas.tnef": NO_FILE,
    "jstedfast__MimeKit/panic.tnef": DAMAGED,
    "jstedfast__MimeKit/ukr.eml": EMPTY,
    "jstedfast__MimeKit/Untitled_Attachment.2.tnef": EMPTY,
    "jstedfast__MimeKit/Untitled_Attachment.4.tnef": "winmail.dat: the message belongs to a calendar",
    "jstedfast__MimeKit/winmail.tnef": NO_FILE,
    "sisimai__set-of-emails/lhost-amazonworkmail-01.eml": EMPTY,
}


def sample(name: str) -> bytes:
    """winmail.dat of the sample mail."""
    default = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("CONNECTOR_TEST_DATA") or default) / "mail"
    if "CONNECTOR_TEST_DATA" not in os.environ and not folder.is_dir():
        pytest.skip("no sample mail beside the project: set CONNECTOR_TEST_DATA")
    content = (folder / name).read_bytes()
    if not name.endswith(".eml"):
        return content
    parts = message_from_bytes(content).walk()
    payload = next(part for part in parts if part.get_content_type() == "application/ms-tnef").get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


@pytest.mark.parametrize("name", TAKEN_OUT)
def test_another_parser_takes_out_the_same(name: str) -> None:
    """Of real winmail.dat."""
    assert {each: sha256(content).hexdigest() for each, content in found(sample(name))} == TAKEN_OUT[name]


@pytest.mark.parametrize("name", STAYS)
def test_real_ones_that_stay(name: str) -> None:
    """Nothing in them that people open, or not all of it."""
    assert refused(sample(name)) == STAYS[name]


# --- what is damaged or hostile -----------------------------------------------------------------------------------


def in_this_process(content: bytes) -> list[bytes] | None:
    """What the parser makes of it, without the price of a process; None where it refuses."""
    try:
        return [each.content for each in tnef.understood(content)[1]]
    except (Exception, SystemExit):  # noqa: BLE001 - whatever it is, it ends the process
        return None


def test_a_process_refuses_what_is_cut_off() -> None:
    """And one that is empty, or text."""
    assert {refused(GOOD[:at]) for at in (0, 3, 101, len(GOOD) - 1)} == {DAMAGED}
    assert refused(b"Dear all,\n") == DAMAGED


def test_cut_off_anywhere() -> None:
    """Whole attributes may be missing at the end, which nothing can tell; a file is never shorter than it was."""
    contents = [content for _, content in FILES]
    for at in range(len(GOOD)):
        seen = in_this_process(GOOD[:at])
        assert seen is None or seen == contents[: len(seen)], at


def test_one_bit_is_wrong() -> None:
    """Wherever it is: no file comes out other than it went in."""
    contents = [content for _, content in FILES]
    for at in range(len(GOOD)):
        seen = in_this_process(GOOD[:at] + bytes([GOOD[at] ^ 1 << at % 8]) + GOOD[at + 1 :])
        assert seen is None or all(each in contents for each in seen), at


START = attribute(ATTACHMENT, BEGINS, bytes(14))
#: PidTagBody as a list of 16-bit numbers that says it has four thousand million of them.
ENDLESS = struct.pack("<III", 1, 0x1000 << 16 | 0x1002, 0xFFFFFFFF)
HOSTILE = {
    "a length that is more than there is": (begun() + START + attribute(ATTACHMENT, DATA, b"x", length=99), DAMAGED),
    "a length of 4 GB": (begun() + START + attribute(ATTACHMENT, DATA, b"x", length=0xFFFFFFFF), DAMAGED),
    "a length that is less than there is": (
        begun() + START + attribute(ATTACHMENT, DATA, b"abcd", length=2),
        DAMAGED,
    ),
    "a checksum that is wrong": (begun() + START + attribute(ATTACHMENT, DATA, b"x", checksum=1) + START, DAMAGED),
    "a last file that is short": (begun() + START + attribute(ATTACHMENT, DATA, b"x"), DAMAGED),
    "4 G properties": (begun() + attribute(MESSAGE, PROPERTIES, properties(count=0xFFFFFFFF)), DAMAGED),
    "a property that is cut off": (
        begun() + attribute(MESSAGE, PROPERTIES, properties((0x1000001F, b"abcd"))[:-10]),
        DAMAGED,
    ),
    "no file": (begun(), EMPTY),
    "a path": (winmail([("..\\..\\evil.exe", b"MZ")]), PATH),
    "another path": (winmail([("/etc/passwd", b"root")]), PATH),
    "a message": (
        begun() + START + attribute(ATTACHMENT, OF_ATTACHMENT, properties((OBJECT, b"\x07\x03\x02" + bytes(60)))),
        NO_FILE,
    ),
    "a message beside a file": (
        GOOD + START + attribute(ATTACHMENT, OF_ATTACHMENT, properties((OBJECT, b"\x07\x03\x02" + bytes(60)))),
        NO_FILE,
    ),
    "an object in place of the file": (
        winmail(FILES) + attribute(ATTACHMENT, OF_ATTACHMENT, properties((OBJECT, b"another"))),
        NO_FILE,
    ),
    "another winmail.dat": (winmail([("a.dat", GOOD)]), NO_FILE),
    "a file that is twice": (GOOD + attribute(ATTACHMENT, DATA, b"once more"), NO_FILE),
    "a file that never begins": (begun() + attribute(ATTACHMENT, DATA, b"stray"), NOT_READ),
    "a code page that nobody knows": (
        SIGNATURE + attribute(MESSAGE, CODEPAGE, struct.pack("<I", 4711)) + attachment("a.txt", b"aa"),
        NOT_READ,
    ),
    "100,000 files": (winmail([("a", b"a")]) + attachment("a", b"a") * 100_000, TOO_MUCH),
    "1001 files": (begun() + attachment("a", b"aa") * 1001, TOO_MUCH),
    "names that are longer than all files": (winmail([("x" * 600_000, b"aa")] * 2), NOT_READ),
    "signed mail": (winmail(FILES, "IPM.Note.SMIME.MultipartSigned"), "winmail.dat: the message is signed"),
    "a key": (
        winmail([("key.asc", b"aa")]),
        "winmail.dat: the message, or a file of it, is encrypted or signed with PGP",
    ),
    "a meeting": (winmail(FILES, "IPM.Schedule.Meeting.Request"), "winmail.dat: the message belongs to a calendar"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_stays(name: str) -> None:
    """Each is told in one sentence that repeats nothing of what is in it."""
    content, reason = HOSTILE[name]
    assert refused(content) == reason


def test_messages_within_messages() -> None:
    """The parser goes down into each of them: as deep as they come, it ends."""
    inner = SIGNATURE
    for _ in range(300):
        message = bytes.fromhex("0703020000000000c000000000000046") + inner
        inner = begun() + START + attribute(ATTACHMENT, OF_ATTACHMENT, properties((OBJECT, message)))
    assert refused(inner) in (NO_FILE, NOT_READ, DAMAGED)


def test_too_large_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started."""
    monkeypatch.setattr(unpack, "COMMAND", ("/nonexistent",))
    monkeypatch.setattr(unpack, "LIMITS", replace(unpack.LIMITS, size=len(GOOD) - 1))
    assert refused(GOOD) == TOO_MUCH


def test_the_largest_fits_into_the_memory_that_it_may_take() -> None:
    """48 MB, in one file or in thousand."""
    whole = unpack.LIMITS.size - 1000
    content = winmail([("whole.bin", bytes(whole))])
    assert [len(each) for _, each in found(content)] == [whole]


# --- a parser that goes wrong -------------------------------------------------------------------------------------


def misbehaves(monkeypatch: pytest.MonkeyPatch, does: str, **limits: int) -> str:
    """Why winmail.dat stays, where the process gives up what it gives up, and then does this."""
    first = "import os, sys, time; from connector.content import tnef; tnef.confine(*map(int, sys.argv[1:]));"
    monkeypatch.setattr(unpack, "COMMAND", (sys.executable, "-I", "-c", f"{first}{does}"))
    monkeypatch.setattr(unpack, "LIMITS", replace(unpack.LIMITS, **limits))
    return refused(GOOD)


def test_a_parser_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy, or asleep; also the real one, which believes that a property has four thousand million values."""
    assert misbehaves(monkeypatch, "exec('while True: pass')", seconds=1, timeout=30) == NOT_READ
    assert misbehaves(monkeypatch, "time.sleep(60)", timeout=1) == NOT_READ
    monkeypatch.undo()
    monkeypatch.setattr(unpack, "LIMITS", replace(unpack.LIMITS, seconds=1, memory=256 * 1024 * 1024))
    assert refused(begun() + attribute(MESSAGE, PROPERTIES, ENDLESS)) in (NOT_READ, DAMAGED)


def test_a_parser_that_takes_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory, or room in the folder for temporary files."""
    assert misbehaves(monkeypatch, "x = bytearray(1 << 31)") == NOT_READ
    assert misbehaves(monkeypatch, "os.write(1, bytes(1 << 20)); os.write(1, bytes(1 << 20))") == NOT_READ


def test_a_parser_reaches_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable, no open file but its own three, no folder; winmail.dat cannot be written; it starts nothing."""
    monkeypatch.setenv("CONNECTOR_SECRET", "s3cret")
    with open(os.devnull) as ours:  # noqa: PTH123 - a descriptor is all that is wanted
        os.set_inheritable(ours.fileno(), True)
        told = misbehaves(
            monkeypatch,
            "clean = {*os.environ} <= {'LC_CTYPE'} and os.getcwd() == '/';"
            "fds = [each for each in range(3, 100) if os.path.exists(f'/proc/self/fd/{each}')];"
            "sys.exit(12 if clean and not fds else 13)",
        )
    assert told == PATH
    assert misbehaves(monkeypatch, "os.write(0, b'x')") == NOT_READ
    limits = "import resource as r; sys.exit(12 if r.getrlimit(r.RLIMIT_NPROC) == (0, 0) else 1)"
    assert misbehaves(monkeypatch, limits) == PATH


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"12",
        b"not an index",
        (2).to_bytes(8, "big") + b"{}",
        b"\xff" * 8 + b"{}",
        '{"message_class":"","files":[["a",-1]]}',
        '{"message_class":"","files":[["a","1"]]}x',
        '{"message_class":"","files":[["a",1]]}',
        '{"message_class":"","files":[["a",1]]}xy',
        '{"message_class":"","files":[["\\ud800",1]]}x',
        '{"message_class":"","files":[["a",1000000]]}' + "x" * 1_000_000,
    ],
)
def test_a_parser_that_lies(monkeypatch: pytest.MonkeyPatch, said: bytes | str) -> None:
    """What it writes is an index and just as many bytes as that says, and no more than were packed."""
    if isinstance(said, str):
        index, end, content = said.partition("]]}")
        said = len(index + end).to_bytes(8, "big") + (index + end + content).encode()
    repeated = f"sys.stdout.buffer.write({said!r})" if len(said) < 1000 else f"sys.stdout.buffer.write({said[:60]!r})"
    assert misbehaves(monkeypatch, repeated) == NOT_READ


def test_trouble_of_this_machine_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started, or no file kept, it is tried again: that says nothing about winmail.dat."""
    monkeypatch.setattr(unpack, "COMMAND", ("/nonexistent",))
    with spool(GOOD) as packed, pytest.raises(Unavailable), unpacked(packed):
        pass
    monkeypatch.setattr(
        unpack, "COMMAND", (sys.executable, "-I", "-c", f"import sys; sys.exit({tnef.Refusal.NO_ROOM})")
    )
    with spool(GOOD) as packed, pytest.raises(Unavailable), unpacked(packed):
        pass


@pytest.mark.parametrize(("device", "output", "code"), [("/dev/full", 1 << 20, 14), ("file", 10, 13)])
def test_what_the_process_says_where_it_cannot_write(tmp_path: Path, device: str, output: int, code: int) -> None:
    """A disk that is full is another thing than more than was allowed."""
    command = [sys.executable, "-I", "-m", "connector.content.tnef", "9", str(1 << 29), str(output)]
    with (tmp_path / device).open("wb") as written:
        assert subprocess.run(command, input=GOOD, stdout=written, check=False).returncode == code


def test_the_daemon_never_loads_the_parser() -> None:
    """Not even by its modules' imports."""
    code = "import sys, connector.flow.redirect; sys.exit('tnefparse' in sys.modules)"
    assert subprocess.run([sys.executable, "-I", "-c", code], check=False).returncode == 0
