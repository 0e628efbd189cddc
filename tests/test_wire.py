"""Heads on the wire, against a server that says exactly what it was told to say."""

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import requests
from urllib3.exceptions import InvalidHeader

from connector.session import Session
from connector.wire import head


@dataclass
class Script:
    """A server of one connection after the other, each with its answers, and what it was asked."""

    url: str
    asked: list[list[bytes]] = field(default_factory=list)


@contextmanager
def saying(*connections: Sequence[bytes]) -> Iterator[Script]:
    """Listen; to the n-th request of a connection comes its n-th answer, and after the last one the connection ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        script = Script(f"http://127.0.0.1:{listening.getsockname()[1]}")

        def serve() -> None:
            for answers in connections:
                connection, _ = listening.accept()
                script.asked.append([])
                with connection:
                    for answer in answers:
                        script.asked[-1].append(connection.recv(65536))
                        connection.sendall(answer)

        served = pool.submit(serve)
        yield script
        served.result(timeout=10)


def asked(session: Session, script: Script, method: str = "GET", data: bytes | None = None) -> requests.Response:
    """One request, its answer read."""
    response = session.request(method, f"{script.url}/a%20b", data=data, timeout=10)
    response.content  # noqa: B018 - it is kept
    return response


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 Tr\xe8s bien\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nno header at all\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
def test_an_answer_is_read_to_its_end(answer: bytes) -> None:
    """By its length, in chunks, or as long as the connection lasts; what only announces it is passed over."""
    with saying([answer]) as script, Session(script.url, {}) as session:
        response = asked(session, script)
        assert (response.status_code, response.content) == (200, b"hi")


def test_headers_are_heedless_of_case_and_order() -> None:
    """A header that goes on in the next line is one; one that stands there twice has both values."""
    told = b"HTTP/1.1 200 OK\r\nX-A: one,\r\n  two\r\nx-b: 1\r\nX-B: 2\r\nX-C: a\x85b\r\nContent-Length: 0\r\n\r\n"
    with saying([told]) as script, Session(script.url, {}) as session:
        headers = asked(session, script).headers
        assert (headers["x-a"], headers["X-B"], headers["x-c"]) == ("one, two", "1, 2", "a\x85b")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"hi\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 1000 + OK,
    ],
)
def test_a_head_that_breaks_off_or_is_none_is_a_broken_connection(answer: bytes) -> None:
    """Nothing is made of it: not even an answer without a body."""
    with saying([answer]) as script, Session(script.url, {}) as session, pytest.raises(requests.ConnectionError):
        asked(session, script)


@pytest.mark.parametrize("length", [b"5", b"9" * 5000, b"-2", b"", b"2, 3"])
def test_a_body_is_never_taken_for_a_shorter_or_longer_one(length: bytes) -> None:
    """Where another length was told than the body has, it is no success."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nhi"
    refused = pytest.raises((requests.RequestException, InvalidHeader))
    with saying([answer]) as script, Session(script.url, {}) as session, refused:
        asked(session, script)


def test_a_connection_is_used_again() -> None:
    """Unless the server ends it, by a word or by its version of HTTP: then the next request has a new one."""
    last = OK.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n")
    old = OK.replace(b"HTTP/1.1", b"HTTP/1.0")
    kept = old.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    with saying([OK, empty, kept, last], [OK, old], [OK]) as script, Session(script.url, {}) as session:
        bodies = [asked(session, script).content for _ in range(7)]
        assert bodies == [b"hi", b"", b"hi", b"hi", b"hi", b"hi", b"hi"]
    assert [len(each) for each in script.asked] == [4, 2, 1]


def test_what_is_unread_does_not_pass_for_the_next_answer() -> None:
    """A connection whose answer nobody read is not asked again."""
    with saying([OK], [OK]) as script, Session(script.url, {}) as session:
        unread = session.request("GET", script.url, timeout=10)
        assert asked(session, script).content == b"hi"
        unread.close()


def test_a_request_says_what_it_brings() -> None:
    """Where it brings nothing along it says so, if it is of a kind that might."""
    with saying([OK] * 3) as script, Session(script.url, {"X-A": "1"}) as session:
        for method, data in [("GET", None), ("MKCOL", None), ("PUT", b"hello")]:
            asked(session, script, method, data)
    first = f"/a%20b HTTP/1.1\r\nHost: {script.url[7:]}\r\nUser-Agent: connector\r\nAccept-Encoding: identity\r\nX-A: 1"
    assert [each.decode() for each in script.asked[0]] == [
        f"GET {first}\r\n\r\n",
        f"MKCOL {first}\r\nContent-Length: 0\r\n\r\n",
        f"PUT {first}\r\nContent-Length: 5\r\n\r\nhello",
    ]


@pytest.mark.parametrize(
    ("method", "target", "value"),
    [
        ("GET", "/", "a\r\nX-B: b"),
        ("GET", "/", "a\nb"),
        ("GET", "/", "a\rb"),
        ("GET", "/a b", "a"),
        ("GET", "/\u00e4", "a"),
        ("GET /a HTTP/1.1\r\nX: ", "/", "a"),
        ("", "/", "a"),
        ("GET", "", "a"),
        ("GET", "/", "\u20ac"),
    ],
)
def test_nothing_slips_into_a_head(method: str, target: str, value: str) -> None:
    """What would begin another line, or another request, is refused before a byte is sent."""
    with pytest.raises(ValueError, match=r"may not stand|latin-1"):
        head(method, target, {"X-A": value})
