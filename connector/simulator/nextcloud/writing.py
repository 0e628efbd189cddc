"""What PUT, chunks and MOVE have in common: conditions, hashes, dates, and bodies that are not whole (facts, 2.1)."""

import hashlib
from urllib.parse import urlsplit

from connector.simulator.nextcloud.cloud import Cloud
from connector.simulator.nextcloud.message import SABRE, Refused, Reply, Request, decoded
from connector.simulator.nextcloud.tree import Node

HASHES = ("md5", "sha1", "sha256")
_EARLIEST = 86400


def require_conditions(request: Request, there: Node | None) -> None:
    """Raise Refused where If-Match or If-None-Match does not hold."""
    fresh, match = request.header("If-None-Match"), request.header("If-Match")
    if (fresh == "*" and there) or (match and (there is None or match not in ("*", there.etag))):
        kind = "If-None-Match" if fresh else "If-Match"
        says = f"An {kind} header was specified, but the condition did not hold"
        raise Refused(412, f"{SABRE}PreconditionFailed", says, f"<s:header>{kind}</s:header>")


def too_large(cloud: Cloud, request: Request) -> Reply | None:
    """What the web server says to a body above its limit."""
    announced = request.header("Content-Length")
    if announced.isdecimal() and int(announced) > cloud.settings.largest_body:
        return Reply(413, b"<html>Request Entity Too Large</html>", "text/html")
    return None


def torn(request: Request) -> Refused:
    """The body ended before the length that was announced."""
    return Refused(
        400,
        f"{SABRE}BadRequest",
        f"Expected filesize of {request.header('Content-Length')} bytes but read (from Nextcloud client) and wrote"
        f" (to Nextcloud storage) {len(request.body)} bytes. Could either be a network problem on the sending side or"
        " a problem writing to the storage on the server side.",
    )


def received_hashes(cloud: Cloud, request: Request, received: bytes) -> dict[str, str]:
    """Facts, 1.2: of what came, by the server itself."""
    if not cloud.settings.x_hash:
        return {}
    asked = request.header("X-Hash").lower()
    wanted = HASHES if asked == "all" else (asked,)
    return {f"X-Hash-{kind.upper()}": hashed(kind, received) for kind in wanted if kind in HASHES}


def hashed(kind: str, content: bytes) -> str:
    """In hex."""
    return hashlib.new(kind, content, usedforsecurity=False).hexdigest()


def told(cloud: Cloud, node: Node) -> dict[str, str]:
    """What every file that was written is told with."""
    return {"OC-FileId": cloud.file_id(node), "ETag": node.etag, "OC-ETag": node.etag}


def dated(request: Request, node: Node) -> dict[str, str]:
    """Facts, 2.1: a date that makes no sense is an error, and the file is there nevertheless."""
    asked = request.header("X-OC-MTime")
    if not asked:
        return {}
    if not asked.isdecimal() or int(asked) <= _EARLIEST:
        raise Refused(500, "InvalidArgumentException", "X-OC-MTime header must be a valid positive integer")
    node.changed = float(asked)
    return {"X-OC-MTime": "accepted"}


def destination(request: Request) -> str:
    """Facts, 2.2: only the path counts, whatever host stands before it. Raises Refused where there is none."""
    where = decoded(urlsplit(request.header("Destination")).path)
    if not where:
        raise Refused(400, f"{SABRE}BadRequest", "The destination header was not supplied")
    return where


def require_free(request: Request, there: Node | None) -> None:
    """Raise Refused where what is there must stay."""
    if there and request.header("Overwrite").upper() == "F":
        says = "The destination node already exists, and the overwrite header is set to false"
        raise Refused(412, f"{SABRE}PreconditionFailed", says)
