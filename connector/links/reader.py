"""The bytes of published files, read from a WebDAV store by GET and nothing else, for as many threads as like."""

import hashlib
from contextlib import closing
from http import HTTPStatus
from typing import Self
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from connector.errors import Denied, FileGone, Rejected, Unavailable
from connector.links.book import Offered
from connector.links.settings import StoreAccess, secret

#: What one reader costs in memory is a few of these.
PIECE = 128 * 1024
_ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_PARALLEL = 64


class Reader:
    """One tenant's store. Follows nothing to another address, and heeds nothing from the environment."""

    def __init__(self, access: StoreAccess, tenant: str) -> None:
        """Connects when something is read."""
        self._root = access.url
        self._host = urlsplit(access.url).netloc
        # What is sent has the length that the book says; a compressed answer would only hide it.
        headers = {"Accept-Encoding": "identity", "User-Agent": "connector"}
        if access.user is not None and access.password is not None:
            password = secret(access.password, f"tenants.{tenant}.store.password")
            # As bytes: urllib3 would write text as Latin-1, and servers read UTF-8 (RFC 7617 section 2.1).
            login = f"{access.user}:{password}".encode().decode("latin-1")
            headers |= urllib3.make_headers(basic_auth=login)
        self._pool = urllib3.PoolManager(
            maxsize=_PARALLEL,
            headers=headers,
            timeout=urllib3.Timeout(connect=min(10, access.timeout), read=access.timeout),
            # A server may end a connection that it kept, at the moment in which it is used again.
            # One that is busy says so by its status.
            retries=urllib3.Retry(
                connect=0, read=1, redirect=False, status=0, other=0, respect_retry_after_header=False
            ),
            ca_certs=str(access.ca) if access.ca else None,
        )

    def open(self, file: Offered, start: int = 0, end: int | None = None) -> "Part":
        """The bytes from `start` up to but not with `end`. The store has answered when this returns.

        Raises FileGone, Unavailable, Denied or Rejected; so does reading, where the connection breaks off.
        """
        end = file.size if end is None else end
        whole = (start, end) == (0, file.size)
        try:
            response = self._pool.request(
                "GET",
                f"{self._root}/{_quoted(file.path)}",
                headers={**self._pool.headers, **({} if whole else {"Range": f"bytes={start}-{end - 1}"})},
                preload_content=False,
                redirect=False,
            )
        except (OSError, HTTPError) as error:
            raise Unavailable(f"{self._host} cannot be reached ({type(error).__name__})") from error
        try:
            self._check(response, file, start, end, whole=whole)
        except BaseException:
            response.close()
            raise
        return Part(response, self._host, end - start)

    def prove(self, file: Offered) -> bool:
        """Read all of it, and tell whether it is what was published."""
        digest = hashlib.sha256()
        with closing(self.open(file)) as pieces:
            for piece in pieces:
                digest.update(piece)
        return digest.hexdigest() == file.sha256

    def _check(self, response: urllib3.BaseHTTPResponse, file: Offered, start: int, end: int, *, whole: bool) -> None:
        if response.status in _ABSENT:
            raise FileGone(f"the file is not on {self._host}")
        if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise Denied(f"{self._host} answers GET with {response.status}: the login of the pages may not read there")
        if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
            raise Denied(f"{self._host} answers GET with {response.status}, a redirect: that is not its final address")
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise Unavailable(f"{self._host} answers GET with {response.status}")
        if response.status != (HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT):
            raise Rejected(f"{self._host} answers GET with {response.status}, which is not what was asked for")
        said = response.headers.get("Content-Range", "")
        if not whole and said != f"bytes {start}-{end - 1}/{file.size}":
            raise Rejected(f"{self._host} gives another part of a file than was asked for")
        # A page of a login, or a file that somebody replaced, ends here.
        if response.headers.get("Content-Length", str(end - start)) != str(end - start):
            raise Rejected(f"{self._host} has a file of another size than was published")


class Part:
    """Bytes on their way from a store, piece by piece. `close` gives the connection back, at the end or before."""

    def __init__(self, response: urllib3.BaseHTTPResponse, host: str, size: int) -> None:
        """`size` is what the store has promised."""
        self._response = response
        self._host = host
        self._left = size

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if not self._left:
            self.close()
            raise StopIteration
        try:
            piece = self._response.read(min(PIECE, self._left), decode_content=False)
        except (OSError, HTTPError) as error:
            raise Unavailable(f"{self._host} broke off in a file ({type(error).__name__})") from error
        if not piece:
            raise Unavailable(f"{self._host} broke off in a file")
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """End it."""
        if self._left:
            # A connection with bytes left in it must not be used for the next file.
            self._response.close()
        self._response.release_conn()


def _quoted(path: str) -> str:
    """The path for an address. Raises Rejected where it would leave the collection."""
    parts = path.split("/")
    if not all(parts) or {".", ".."} & set(parts):
        raise Rejected("a path in the book of links leads out of the store's collection")
    return "/".join(quote(part, safe="") for part in parts)
