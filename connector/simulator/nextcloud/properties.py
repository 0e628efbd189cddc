"""PROPFIND and PROPPATCH: what properties there are, and how they are written (facts, 2.3)."""

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from connector.simulator.nextcloud.cloud import CREATE, DELETE, READ, RESHARE, UNLIMITED, UPDATE, Cloud
from connector.simulator.nextcloud.message import SABRE, Refused, Request
from connector.simulator.nextcloud.tree import Node

_OC, _NC, _OCS = "http://owncloud.org/ns", "http://nextcloud.org/ns", "http://open-collaboration-services.org/ns"
_PREFIXES = {"DAV:": "d", _OC: "oc", _NC: "nc", _OCS: "ocs"}
_BY_DEFAULT = ("{DAV:}resourcetype", "{DAV:}getcontentlength", "{DAV:}getetag", "{DAV:}getlastmodified")
#: Known, and not for clients to set.
_PROTECTED = frozenset({"{DAV:}getlastmodified", "{DAV:}getetag", "{DAV:}getcontentlength", "{DAV:}resourcetype"})


@dataclass(frozen=True)
class Entry:
    """Something in an answer: where a client sees it, and what he may do with it."""

    href: str
    node: Node
    may: int
    shared: bool
    #: Properties that only some have, by their names.
    more: Mapping[str, str] = field(default_factory=dict)


def found(cloud: Cloud, request: Request, entries: list[Entry]) -> bytes:
    """The answer to a PROPFIND."""
    asked = _asked(request)
    return multistatus([_response(cloud, each, asked) for each in entries])


def searched(request: Request) -> tuple[str, str]:
    """Where a SEARCH looks, and for which number of a file."""
    root = _parsed(request)
    path = f"{{DAV:}}basicsearch/{{DAV:}}where/{{DAV:}}eq/{{DAV:}}prop/{{{_OC}}}fileid"
    if root.tag != "{DAV:}searchrequest" or root.find(path) is None:
        raise Refused(400, f"{SABRE}BadRequest", "Only a search by oc:fileid is simulated")
    return root.findtext(".//{DAV:}scope/{DAV:}href", ""), root.findtext(".//{DAV:}eq/{DAV:}literal", "")


def patched(request: Request, entry: Entry) -> bytes:
    """Do a PROPPATCH; the answer. RFC 4918, 9.2: all properties are set, or none."""
    root = _parsed(request)
    names = [str(each.tag) for each in root.iterfind("{DAV:}set/{DAV:}prop/*")]
    refused = [name for name in names if name in _PROTECTED]
    if not refused:
        for each in root.iterfind("{DAV:}set/{DAV:}prop/*"):
            entry.node.properties[str(each.tag)] = each.text or ""
        for each in root.iterfind("{DAV:}remove/{DAV:}prop/*"):
            entry.node.properties.pop(str(each.tag), None)
    failed = [name for name in names if name not in refused] if refused else []
    good = [] if refused else names
    told = (
        _propstat("".join(_element(name, "") for name in good), "200 OK")
        + _propstat("".join(_element(name, "") for name in refused), "403 Forbidden")
        + _propstat("".join(_element(name, "") for name in failed), "424 Failed Dependency")
    )
    return multistatus([f"<d:response><d:href>{_href(entry)}</d:href>{told}</d:response>"])


def upload(href: str, size: int | None) -> str:
    """An unfinished upload, or one of its chunks with its size."""
    kind = _element("{DAV:}resourcetype", "<d:collection/>" if size is None else "")
    length = "" if size is None else _element("{DAV:}getcontentlength", str(size))
    return f"<d:response><d:href>{quote(href)}</d:href>{_propstat(kind + length, '200 OK')}</d:response>"


def told(href: str, known: dict[str, str]) -> str:
    """Something else, with ownCloud's properties."""
    inner = "".join(_element(f"{{{_OC}}}{name}", escape(value)) for name, value in known.items())
    return f"<d:response><d:href>{href}</d:href>{_propstat(inner, '200 OK')}</d:response>"


def multistatus(responses: list[str]) -> bytes:
    """Several responses in one."""
    spaces = " ".join(f'xmlns:{prefix}="{namespace}"' for namespace, prefix in _PREFIXES.items())
    return f'<?xml version="1.0"?>\n<d:multistatus {spaces}>{"".join(responses)}</d:multistatus>'.encode()


def rights(node: Node, may: int, *, shared: bool) -> str:
    """Facts, 2.3: in letters."""
    letters = (
        (shared, "S"),
        (may & RESHARE, "R"),
        (may & READ, "G"),
        (may & DELETE, "D"),
        (may & UPDATE, "NV"),
        (may & UPDATE and not node.folder, "W"),
        (may & CREATE and node.folder, "CK"),
    )
    return "".join(letter for holds, letter in letters if holds)


def _response(cloud: Cloud, entry: Entry, asked: list[str]) -> str:
    known = _known(cloud, entry)
    there = "".join(_element(name, known[name]) for name in asked if name in known)
    absent = "".join(_element(name, "") for name in asked if name not in known)
    told = _propstat(there, "200 OK") + _propstat(absent, "404 Not Found")
    return f"<d:response><d:href>{_href(entry)}</d:href>{told}</d:response>"


def _href(entry: Entry) -> str:
    """Facts, 2.3: with lower-case hex, the colon bare, and a slash at the end of folders."""
    quoted = quote(entry.href, safe="/:")
    return re.sub(r"%[0-9A-F]{2}", lambda hit: hit[0].lower(), quoted) + "/" * entry.node.folder


def _known(cloud: Cloud, entry: Entry) -> dict[str, str]:
    node = entry.node
    told = {
        "{DAV:}resourcetype": "<d:collection/>" if node.folder else "",
        "{DAV:}getetag": escape(node.etag),
        "{DAV:}getlastmodified": format_datetime(datetime.fromtimestamp(int(node.changed), UTC), usegmt=True),
        f"{{{_OC}}}fileid": str(node.id),
        f"{{{_OC}}}id": cloud.file_id(node),
        f"{{{_OC}}}size": str(node.size),
        f"{{{_OC}}}permissions": rights(node, entry.may, shared=entry.shared),
        f"{{{_OC}}}owner-id": escape(node.owner),
        f"{{{_NC}}}mount-type": "shared" if entry.shared else "",
        f"{{{_NC}}}upload_time": str(int(node.uploaded)),
        f"{{{_OCS}}}share-permissions": str(entry.may),
    }
    told |= {name: escape(value) for name, value in (*node.properties.items(), *entry.more.items())}
    if node.checksum:
        told[f"{{{_OC}}}checksums"] = f"<oc:checksum>{escape(node.checksum)}</oc:checksum>"
    if not node.folder:
        kind = mimetypes.guess_type(node.name)[0] or "application/octet-stream"
        return told | {"{DAV:}getcontentlength": str(node.size), "{DAV:}getcontenttype": kind}
    # Facts, 2.6: within a received share it says -3 whatever its owner has left.
    left = UNLIMITED if entry.shared else cloud.left(node.owner)
    return told | {"{DAV:}quota-available-bytes": str(left), "{DAV:}quota-used-bytes": str(node.size)}


def _asked(request: Request) -> list[str]:
    """The properties that are asked for; some, where the body says nothing."""
    prop = _parsed(request).find(".//{DAV:}prop") if request.body.strip() else None
    return list(_BY_DEFAULT) if prop is None else [str(each.tag) for each in prop]


def _parsed(request: Request) -> etree._Element:
    try:
        return etree.fromstring(request.body)
    except etree.XMLSyntaxError:
        raise Refused(400, f"{SABRE}BadRequest", "The request body is no XML") from None


def _element(name: str, inner: str) -> str:
    namespace, _, local = name[1:].rpartition("}")
    prefix = _PREFIXES.get(namespace)
    if prefix is None:
        return f"<x:{local} xmlns:x={quoteattr(namespace)}>{inner}</x:{local}>"
    return f"<{prefix}:{local}>{inner}</{prefix}:{local}>"


def _propstat(inner: str, status: str) -> str:
    return f"<d:propstat><d:prop>{inner}</d:prop><d:status>HTTP/1.1 {status}</d:status></d:propstat>" if inner else ""
