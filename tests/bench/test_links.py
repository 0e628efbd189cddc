"""The pages of links against nginx as a reverse proxy of the same WebDAV file, in one run; and their memory."""

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest

from connector.links import settings as link_settings
from connector.links.book import Book, Publication
from tests.bench.conftest import figure
from tests.links import PLENTY, publish, settings_of, until, written
from tests.servers import DavServer, free_port, start_nginx_proxy

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

_TIMES = int(os.environ.get("CONNECTOR_BENCH", "1"))
_SIZE = 100_000_000
_ROUNDS = 2 * _TIMES
_MEGABYTE = 1_000_000
_PARALLEL = 200


@dataclass(frozen=True)
class Process:
    """A server, and where it listens."""

    pid: int
    port: int

    def seconds(self) -> float:
        """Of the processor, that it and its children have taken."""
        family = [self.pid, *_children(self.pid)]
        return sum(_ticks(pid) for pid in family) / os.sysconf("SC_CLK_TCK")

    def peak(self) -> float:
        """The most memory that it had since it was asked last, in megabytes."""
        proc = Path(f"/proc/{self.pid}")
        lines = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        (proc / "clear_refs").write_text("5")
        return int(lines["VmHWM"].split()[0]) * 1024 / _MEGABYTE


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@dataclass(frozen=True)
class Pages:
    """The pages in a process of their own, as an operator runs them."""

    process: Process
    folder: Path
    book: Book
    store: DavServer

    def publish(self, size: int) -> tuple[Publication, str]:
        """Publish a file of this size; returns it, and the address of its bytes."""
        content = os.urandom(_MEGABYTE) * (size // _MEGABYTE)
        publication, token = publish(self.book, self.store, f"bench-{self.process.port}/R{size}", {"a.bin": content})
        return publication, f"/a/{token}/1/a.bin"


@contextmanager
def serving(folder: Path, store: DavServer) -> Iterator[Pages]:
    """`connector links serve`, until it is not needed any more."""
    port = free_port()
    limits = {**PLENTY, "downloads_of_a_client": 1000}
    written(folder, settings_of(folder, store, listen={"port": port}, limits=limits))
    command = [sys.executable, "-m", "connector.cli", "--config", str(folder), "links", "serve"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            until(lambda: b"links.served" in (folder / "log").read_bytes())
            book = Book(link_settings.load(folder).book)
            yield Pages(Process(process.pid, port), folder, book, store)
            book.close()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _downloaded(port: int, path: str) -> int:
    """How many bytes come."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    assert response.status == 200
    buffer = bytearray(_MEGABYTE)
    came = 0
    while read := response.readinto(buffer):
        came += read
    connection.close()
    return came


def _rate(process: Process, path: str, rounds: int) -> float:
    """Bytes for each second of the server's processor."""
    before = process.seconds()
    came = sum(_downloaded(process.port, path) for _ in range(rounds))
    assert came == rounds * _SIZE
    return came / (process.seconds() - before)


def test_against_nginx(tmp_path: Path, apache: DavServer) -> None:
    """What each second of the processor hands out, of what Apache has: on its first way out, and afterwards."""
    with serving(tmp_path, apache) as pages, start_nginx_proxy(apache) as (pid, port):
        publication, path = pages.publish(_SIZE)
        first = _rate(pages.process, path, 1)
        ours = _rate(pages.process, path, _ROUNDS)
        theirs = _rate(Process(pid, port), f"/{publication.files[0].path}", _ROUNDS)
    figure("links: nginx", f"{theirs / 1e9:.1f} GB/s", "for each second of the processor")
    figure(
        "links: pages", f"{ours / 1e9:.1f} GB/s", f"{ours / theirs:.2f} x nginx; first way out {first / theirs:.2f} x"
    )
    assert ours / theirs >= 0.1


def test_memory_at_200_downloads(tmp_path: Path, apache: DavServer) -> None:
    """It is the same whatever the size of the files."""
    with serving(tmp_path, apache) as pages:
        _all_at_once(pages.process.port, pages.publish(_MEGABYTE)[1], 10)
        alone = pages.process.peak()
        peaks = []
        for size in (4 * _MEGABYTE, 8 * _MEGABYTE):
            _, path = pages.publish(size)
            pages.process.peak()
            assert _all_at_once(pages.process.port, path, _PARALLEL) == _PARALLEL * size
            peaks.append(pages.process.peak())
    figure(
        "links: memory", f"{peaks[0]:.0f} MB, {peaks[1]:.0f} MB", f"200 downloads of 4 and 8 MB; {alone:.0f} MB at 10"
    )
    assert max(peaks) < 300
    assert abs(peaks[1] - peaks[0]) < 40


def _all_at_once(port: int, path: str, count: int) -> int:
    """How many bytes come over so many connections together, of bodies alone."""
    came = 0
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for each in _asking(stack, port, path, count):
            selector.register(each, selectors.EVENT_READ, True)
        while selector.get_map():
            for key, _ in selector.select(60):
                reader = key.fileobj
                assert isinstance(reader, socket.socket)
                got = reader.recv(_MEGABYTE)
                if not got:
                    selector.unregister(reader)
                elif key.data:
                    came += len(got.partition(b"\r\n\r\n")[2])
                    selector.modify(reader, selectors.EVENT_READ, False)
                else:
                    came += len(got)
    return came


def _asking(stack: ExitStack, port: int, path: str, count: int) -> Sequence[socket.socket]:
    readers = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
    for each in readers:
        each.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return readers
