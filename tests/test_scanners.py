"""What virus scanners say of a file: real ones with a signature of ours, and some that misbehave."""

import io
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from connector.checks.check import _scanner
from connector.checks.finding import Finding
from connector.errors import Unavailable
from connector.model import State
from connector.policy import Policy
from connector.scanners import Scanner
from connector.scanners.clamd import Clamd
from connector.scanners.icap import Icap
from connector.scanners.settings import ScannerConfig
from connector.sources.memory import Attached
from connector.spool import spooled
from tests.absent import absent
from tests.scanners import LONGEST, MALICIOUS, Running, scanners
from tests.world import World

__all__ = ["scanners"]

LOCAL = "127.0.0.1"
LARGE = bytes(range(256)) * 10_000


def asked(scanner: Scanner, content: bytes) -> bool | None:
    """What it says of these bytes."""
    with spooled(io.BytesIO(content)) as spool:
        return scanner.infected(spool)


@pytest.fixture(params=["path", "tcp", "icap"])
def scanner(request: pytest.FixtureRequest, scanners: Running) -> Scanner:
    """Each way to a scanner, as a configuration names it."""
    names: dict[str, dict[str, str]] = {
        "path": {"clamd": scanners.path},
        "tcp": {"clamd": f"tcp://{LOCAL}:{scanners.port}"},
        "icap": {"icap": f"icap://{LOCAL}:{scanners.icap}/avscan"},
    }
    if request.param == "icap" and not scanners.icap:
        absent("c-icap is not installed (Debian: c-icap, libc-icap-mod-virus-scan)")
    return ScannerConfig(**names[request.param]).connect()


@pytest.mark.parametrize("content", [b"", b"Dear all,\n", LARGE], ids=["nothing", "text", "large"])
def test_real_scanners_let_pass(scanner: Scanner, content: bytes) -> None:
    """What they have no signature of."""
    assert asked(scanner, content) is False


@pytest.mark.parametrize("before", [b"", b"MZ" + LARGE], ids=["at once", "far behind"])
def test_real_scanners_find(scanner: Scanner, before: bytes) -> None:
    """What they have a signature of, and again the next time."""
    assert [asked(scanner, before + MALICIOUS + b"x" * 1000) for _ in range(2)] == [True, True]


def test_more_than_clamd_takes(scanners: Running) -> None:
    """Nobody knows, though it hung up before it had all; and the next file is scanned as ever."""
    clamd = Clamd(scanners.path)
    assert asked(clamd, bytes(5 * LONGEST)) is None
    assert asked(clamd, bytes(LONGEST)) is False


def test_a_server_that_gives_back_the_same_lets_pass(scanners: Running) -> None:
    """Some answer 200 where 204 would do: c-icap's echo service."""
    if not scanners.icap:
        absent("c-icap is not installed (Debian: c-icap, libc-icap-mod-virus-scan)")
    assert asked(Icap(LOCAL, scanners.icap, "echo"), LARGE) is False


def test_a_service_that_is_not_there(scanners: Running) -> None:
    """It is told by its address."""
    if not scanners.icap:
        absent("c-icap is not installed (Debian: c-icap, libc-icap-mod-virus-scan)")
    with pytest.raises(Unavailable, match=f"icap://{LOCAL}:{scanners.icap}/other answers 404"):
        asked(Icap(LOCAL, scanners.icap, "other"), b"Dear all,\n")


# --- scanners that misbehave --------------------------------------------------------------------------------------

Says = Callable[[socket.socket], None]


@contextmanager
def server(does: Says) -> Iterator[int]:
    """Somebody who listens, and does this with each connection; the port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            does(self.request)

    with socketserver.ThreadingTCPServer((LOCAL, 0), Handler) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening.server_address[1]
        listening.shutdown()


def answers(reply: bytes, end: bytes) -> Says:
    """Reads until this, and replies."""

    def does(connected: socket.socket) -> None:
        seen = b""
        while not seen.endswith(end) and (chunk := connected.recv(65536)):
            seen += chunk
        connected.sendall(reply)

    return does


CLAMD_END, ICAP_END = bytes(4), b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"stream: OK\0", False),
        (b"stream: OK\n", False),
        (b"stream: Eicar FOUND\0", True),
        (b"INSTREAM size limit exceeded. ERROR\0", None),
        (b"", "says: nothing"),
        (b"stream: Can't allocate memory ERROR\0", "allocate memory"),
        (b"UNKNOWN COMMAND\0", "UNKNOWN COMMAND"),
        (b"x" * 100_000, "says: x"),
    ],
)
def test_what_clamd_may_say(reply: bytes, expected: bool | str | None) -> None:  # noqa: FBT001 - what it comes to
    """What is neither clean nor found is no answer."""
    with server(answers(reply, CLAMD_END)) as port:
        clamd = Clamd((LOCAL, port))
        if isinstance(expected, str):
            with pytest.raises(Unavailable, match=expected):
                asked(clamd, b"a")
        else:
            assert asked(clamd, b"a") is expected


def instead(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    """What an ICAP server would put in the place of the file."""
    head = b"HTTP/1.1 %b\r\nContent-Type: text/html\r\n\r\n" % status
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    parts = b"Encapsulated: res-hdr=0, res-body=%d\r\n" % len(head)
    return b"ICAP/1.0 200 OK\r\n" + more + parts + b"\r\n" + head + chunked


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"ICAP/1.0 204 No Content\r\nISTag: x\r\n\r\n", False),
        (instead(b"Dear all"), False),
        (instead(b"Dear all,"), True),
        (instead(b"Dear all", b"403 Forbidden"), True),
        (instead(b"Dear all", more=b"X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n"), True),
        (b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=19\r\n\r\nHTTP/1.1 403 No\r\n\r\n", True),
        (b"ICAP/1.0 413 Too large\r\n\r\n", None),
        (b"ICAP/1.0 500 Error\r\n\r\n", "answers 500"),
        (b"ICAP/1.0 503 Overloaded\r\n\r\n", "answers 503"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not ICAP"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "not ICAP"),
        (b"HTTP/1.1 413 Content Too Large\r\n\r\n", "not ICAP"),
        (b"", "not ICAP"),
        (b"\r\n\r\n", "not ICAP"),
        (b"220 mail.example.org ESMTP\r\n\r\n", "not ICAP"),
        (b"ICAP/1.0 two hundred\r\n\r\n", "not ICAP"),
        (b"ICAP/1.0 200 OK\r\n" + b"X: y\r\n" * 20_000, "not ICAP"),
        (instead(b"Dear all")[:-20], "not ICAP"),
        (instead(b"Dear all")[:-13], "not ICAP"),
    ],
)
def test_what_an_icap_server_may_say(reply: bytes, expected: bool | str | None) -> None:  # noqa: FBT001 - as above
    """What it lets pass unchanged is clean; any other thing in its place is a finding; the rest is no answer."""
    with server(answers(reply, ICAP_END)) as port:
        icap = Icap(LOCAL, port, "avscan")
        if isinstance(expected, str):
            with pytest.raises(Unavailable, match=expected):
                asked(icap, b"Dear all")
        else:
            assert asked(icap, b"Dear all") is expected


def test_what_is_sent_to_an_icap_server() -> None:
    """The request of RFC 3507, section 4.9, whose offsets are those of its parts."""
    seen = b""

    def does(connected: socket.socket) -> None:
        nonlocal seen
        while not seen.endswith(ICAP_END):
            seen += connected.recv(65536)
        connected.sendall(b"ICAP/1.0 204 No Content\r\n\r\n")

    with server(does) as port:
        assert asked(Icap(LOCAL, port, "av/scan?x=y"), b"Dear all") is False
    head, _, rest = seen.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == f"RESPMOD icap://{LOCAL}:{port}/av/scan?x=y ICAP/1.0"
    assert {"Host: 127.0.0.1", "Allow: 204"} <= set(lines)
    offsets = [int(each.partition("=")[2]) for each in lines[-1].removeprefix("Encapsulated: ").split(", ")]
    parts = [rest[a:b] for a, b in zip(offsets, [*offsets[1:], None], strict=True)]
    assert [part.split(b" ")[0] for part in parts[:2]] == [b"GET", b"HTTP/1.1"]
    assert b"Content-Length: 8\r\n\r\n" in parts[1]
    assert parts[2] == b"8\r\nDear all\r\n0\r\n\r\n"


@pytest.mark.parametrize("end", ["at once", "nobody"])
@pytest.mark.parametrize("made", [lambda port: Clamd((LOCAL, port)), lambda port: Icap(LOCAL, port, "avscan")])
def test_a_scanner_that_is_down(end: str, made: Callable[[int], Scanner]) -> None:
    """Hung up while it is sent 10 MB, or not there at all: no answer, and nothing else."""
    with server(lambda connected: connected.close()) as port:
        if end == "at once":
            with pytest.raises(Unavailable):
                asked(made(port), bytes(10_000_000))
    if end == "nobody":
        with pytest.raises(Unavailable, match="refused"):
            asked(made(port), b"a")


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(Unavailable, match=r"clamd\.ctl gives no answer: No such file"):
        asked(Clamd(str(tmp_path / "clamd.ctl")), b"a")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"clamd": "/run/clamd", "icap": "icap://a/b"},
        {"clamd": "clamd.ctl"},
        {"clamd": "localhost:3310"},
        {"clamd": "tcp://localhost:99999"},
        {"icap": "http://a/b"},
        {"icap": "icap:///b"},
        {"icap": "icap://me:secret@a/b"},
        {"clam": "/run/clamd"},
    ],
)
def test_settings_that_are_refused(settings: dict[str, str]) -> None:
    """Exactly one scanner, at an address that can be."""
    with pytest.raises(ValidationError):
        ScannerConfig(**settings)


# --- connector check ----------------------------------------------------------------------------------------------


def finding(scanner: Scanner) -> Finding:
    """What `connector check` says of it."""
    tenant: Any = SimpleNamespace(name="acme")
    return _scanner(tenant, scanner)


def test_check_finds_it_well(scanner: Scanner) -> None:
    """It finds what every scanner finds, and nothing in text."""
    assert finding(scanner).severity == "fine"


def test_check_tells_what_is_wrong() -> None:
    """One that is down, one that finds everything, and one that finds nothing."""
    with server(answers(b"stream: OK\0", CLAMD_END)) as port:
        found = finding(Clamd((LOCAL, port)))
        assert (found.severity, "EICAR" in found.says) == ("stopped", True)
    assert finding(Clamd((LOCAL, port))).severity == "unreachable"
    with server(answers(b"stream: X FOUND\0", CLAMD_END)) as port:
        assert "line of text" in finding(Clamd((LOCAL, port))).says


# --- the whole way ------------------------------------------------------------------------------------------------


def test_an_infected_file_is_held_and_others_go(scanners: Running, tmp_path: Path) -> None:
    """While the scanner is down, nothing that it has to see moves, and nothing is forgotten."""
    rules = [
        {"name": "infected", "when": {"infected": True}, "action": "hold"},
        {"name": "all", "action": "redirect", "settle": "0s"},
    ]
    world = World(tmp_path / "ledger.db", Policy.model_validate({"rules": rules}))
    for content in (MALICIOUS, b"Dear all"):
        world.deliver(Attached("a.txt", content))
    with server(lambda connected: connected.close()) as port:
        world.scanner = Clamd((LOCAL, port))
        world.run(ticks=3)
    with world.ledger() as ledger:
        assert list(ledger.redirects()) == []
    world.scanner = Clamd(scanners.path)
    world.run()
    with world.ledger() as ledger:
        states = {each.state: each.reason for each in ledger.redirects()}
    assert set(states) == {State.HELD, State.DONE}
    assert states[State.HELD].startswith("rule infected")
    assert not world.lost()
