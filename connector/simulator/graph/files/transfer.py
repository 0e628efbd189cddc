"""Bytes of files: down by preauthenticated URLs, up at once or in an upload session."""

import re
import secrets
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any

from connector.simulator.content import Content, Joined
from connector.simulator.deviations import Deviation
from connector.simulator.graph.call import Call
from connector.simulator.graph.files.charges import ONE, TWO, charged
from connector.simulator.graph.files.drive import Drive, DriveItem, refuse
from connector.simulator.graph.files.items import (
    READ,
    WRITE,
    check_match,
    conflict_of,
    drive_of,
    item_of,
    located,
    parent_of,
)
from connector.simulator.graph.files.shapes import item_shape, moment
from connector.simulator.graph.files.tickets import download_url, file_of, refuse_token
from connector.simulator.graph.files.workspace import UploadSession, until
from connector.simulator.graph.message import NO_CONTENT, Reply, invalid
from connector.simulator.graph.routes import Route
from connector.simulator.mailbox import now

#: Facts, B4: what one PUT may bring.
MOST_AT_ONCE = 250 * 1024 * 1024
#: Microsoft: driveitem-createuploadsession: parts are multiples of this, and at most so many bytes.
PART = 320 * 1024
_BIGGEST_PART = 60 * 1024 * 1024
#: The biggest file of SharePoint.
_BIGGEST = 250 * 1024**3
_OFFICE = frozenset({".docx", ".xlsx", ".pptx", ".docm", ".xlsm", ".pptm"})
#: What SharePoint writes into Office files of a library is as long as its properties; here it is always the same.
_PROMOTED = b"PK\x05\x06 properties of the library"
_STUB = b"<!DOCTYPE html><html><head><title>Sign in to your account</title></head><body></body></html>"


def download(call: Call) -> Reply:
    """Microsoft: driveitem-get-content: 302 to a URL for some minutes; Range has no effect here (facts, B3)."""
    with drive_of(call).lock:
        drive, item = item_of(call)
        if item.is_folder:
            refuse(HTTPStatus.BAD_REQUEST, "invalidRequest", "A folder has no content.")
        if call.request.header("If-None-Match") in (item.etag, item.ctag):
            return Reply(HTTPStatus.NOT_MODIFIED)
        if item.malware:
            refuse(HTTPStatus.FORBIDDEN, "malwareDetected", "Malware was detected in the requested resource.")
        return Reply(HTTPStatus.FOUND, headers=(("Location", download_url(call, drive, item)),))


def download_preauthenticated(call: Call) -> Reply:
    """The bytes, or a range of them (facts, B3)."""
    refuse_token(call)
    drive, item = file_of(call, call.path["ticket"])
    with drive.lock:
        content, etag, stub = item.version.content, item.etag, item.stub
    if stub:
        return Reply(pieces=[_STUB], content_type="text/html; charset=utf-8", length=len(_STUB))
    kind = "application/octet-stream"
    headers = (("ETag", etag), ("Accept-Ranges", "bytes"))
    asked = _range(call.request.header("Range"), content.size)
    if asked is None:
        return Reply(pieces=content.chunks(), content_type=kind, length=content.size, headers=headers)
    start, stop = asked
    if start >= content.size:
        told = ("Content-Range", f"bytes */{content.size}")
        return Reply(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=(*headers, told))
    told = ("Content-Range", f"bytes {start}-{stop - 1}/{content.size}")
    pieces = content.span(start, stop)
    return Reply(HTTPStatus.PARTIAL_CONTENT, None, pieces, kind, (*headers, told), stop - start)


def replace_content(call: Call) -> Reply:
    """Microsoft: driveitem-put-content: new content for a file; the old one stays as a version (facts, B4)."""
    if located(call)[1]:
        return put_content(call)
    content = _content(call)
    with drive_of(call).lock:
        drive, item = item_of(call)
        check_match(call, item)
        drive.write(item, promoted(call, item.name, content), "")
        return _uploaded(call, drive, item, HTTPStatus.OK)


def put_content(call: Call) -> Reply:
    """Microsoft: driveitem-put-content: a file of this name in a folder."""
    conflict = conflict_of(call.request.query.get("@microsoft.graph.conflictBehavior"), "replace")
    content = _content(call)
    drive = drive_of(call)
    with drive.lock:
        folder, name = parent_of(call, drive)
        there = (folder.children or {}).get(name.casefold())
        if there is not None and conflict == "replace":
            check_match(call, there)
        item, new = drive.put(folder, name, promoted(call, name, content), "", conflict=conflict)
        return _uploaded(call, drive, item, HTTPStatus.CREATED if new else HTTPStatus.OK)


def promoted(call: Call, name: str, content: Content) -> Content:
    """Facts, B3: SharePoint writes properties of the library into Office files."""
    if PurePosixPath(name.lower()).suffix in _OFFICE and call.deviates(Deviation.PROMOTED_PROPERTIES):
        return Joined([content, _PROMOTED])
    return content


# --- upload sessions -------------------------------------------------------------------------------------------------


def create_session(call: Call) -> Reply:
    """Microsoft: driveitem-createuploadsession: for new content, or for a file of this name in a folder."""
    told = (call.request.json() if call.request.body() else {}).get("item") or {}
    if int(told.get("fileSize") or 0) > _BIGGEST:
        refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "fileTooLarge", "The file is too big.")
    drive = drive_of(call)
    with drive.lock:
        if located(call)[1]:
            folder, name = parent_of(call, drive)
            item = (folder.children or {}).get(name.casefold())
            conflict = conflict_of(told.get("@microsoft.graph.conflictBehavior"), "fail")
            if item is None or conflict != "replace":
                drive.free_name(folder, name, conflict)
                item = None
        else:
            item = item_of(call)[1]
            folder, name, conflict = item.parent or drive.root, item.name, "replace"
        if item is not None:
            check_match(call, item)
            drive.guard(item, "")
    session = UploadSession(
        drive=drive,
        item=item,
        folder=folder,
        name=name,
        conflict=conflict,
        expires=until(call.organisation.workspace.upload_life),
        if_match=call.request.header("If-Match"),
    )
    secret = secrets.token_urlsafe(24)
    call.organisation.workspace.uploads[secret] = session
    url = f"{call.request.host}/preauthenticated/upload/{secret}"
    context = call.context("microsoft.graph.uploadSession")
    return Reply(json={"@odata.context": context, "uploadUrl": url, **_status(session)})


def upload_status(call: Call) -> Reply:
    """What is still missing."""
    return Reply(json=_status(_session(call)))


def cancel_upload(call: Call) -> Reply:
    """Forget it."""
    _session(call)
    del call.organisation.workspace.uploads[call.path["secret"]]
    return NO_CONTENT


def upload_part(call: Call) -> Reply:
    """The next part, in its order; after the last one, the file."""
    session = _session(call)
    start, stop, total = _content_range(call.request.header("Content-Range"))
    if session.total not in (0, total) or start != session.received:
        refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "invalidRange", "The part was not expected.")
    size = stop - start
    if size > _BIGGEST_PART or (stop != total and size % PART):
        invalid("A part is a multiple of 320 KiB, and below 60 MiB.")
    part = Joined(call.request.chunks())
    if part.size != size:
        invalid("The part is not as long as its Content-Range says.")
    session.total, session.received = total, stop
    session.parts.append(part)
    session.expires = until(call.organisation.workspace.upload_life)
    if stop < total:
        return Reply(HTTPStatus.ACCEPTED, json=_status(session))
    return _complete(call, session)


def _complete(call: Call, session: UploadSession) -> Reply:
    drive = session.drive
    content = promoted(call, session.name, Joined(session.parts))
    del call.organisation.workspace.uploads[call.path["secret"]]
    with drive.lock:
        if session.item is None:
            item, new = drive.put(session.folder, session.name, content, "", conflict=session.conflict)
            return _uploaded(call, drive, item, HTTPStatus.CREATED if new else HTTPStatus.OK)
        item = drive.find(session.item.id)
        if session.if_match not in ("", "*", item.etag, item.ctag):
            refuse(HTTPStatus.PRECONDITION_FAILED, "resourceModified", "ETag does not match current item's value")
        drive.write(item, content, "")
        return _uploaded(call, drive, item, HTTPStatus.OK)


def _session(call: Call) -> UploadSession:
    refuse_token(call)
    uploads = call.organisation.workspace.uploads
    session = uploads.get(call.path["secret"])
    if session is None or session.expires < now():
        uploads.pop(call.path["secret"], None)
        refuse(HTTPStatus.NOT_FOUND, "itemNotFound", "The upload session was not found")
    return session


def _status(session: UploadSession) -> dict[str, Any]:
    missing = f"{session.received}-" + (str(session.total - 1) if session.total else "")
    return {"expirationDateTime": moment(session.expires), "nextExpectedRanges": [missing]}


def _uploaded(call: Call, drive: Drive, item: DriveItem, status: int) -> Reply:
    return Reply(status, json={"@odata.context": call.context("driveItem"), **item_shape(call, drive, item)})


def _content(call: Call) -> Content:
    too_big = "The file is too big for one request; use an upload session."
    if int(call.request.header("Content-Length") or 0) > MOST_AT_ONCE:
        refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "fileTooLarge", too_big)
    return Joined(_nonempty(call.request.chunks()))


def _nonempty(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return (chunk for chunk in chunks if chunk)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None where the whole is asked for (RFC 9110, 14.1)."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
    if found is None or found[0] == "bytes=-":
        return None
    if not found[1]:
        return max(size - int(found[2]), 0), size
    start = int(found[1])
    stop = min(int(found[2]) + 1, size) if found[2] else size
    return (start, stop) if start < stop or start >= size else None


def _content_range(header: str) -> tuple[int, int, int]:
    """First byte, the one after the last, and the size of the whole."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", header) or invalid("The Content-Range is malformed.")
    start, stop, total = int(found[1]), int(found[2]) + 1, int(found[3])
    return (start, stop, total) if start < stop <= total else invalid("The Content-Range makes no sense.")


_ITEM = "/drives/{drive}/items/{item}"
ROUTES = (
    Route("GET", _ITEM + "/content", charged(ONE, download), READ),
    Route("PUT", _ITEM + "/content", charged(TWO, replace_content), WRITE),
    Route("GET", "/drives/{drive}/root:/{below...}:/content", charged(ONE, download), READ),
    Route("PUT", "/drives/{drive}/root:/{below...}:/content", charged(TWO, put_content), WRITE),
    Route("GET", _ITEM + ":/{below...}:/content", charged(ONE, download), READ),
    Route("PUT", _ITEM + ":/{below...}:/content", charged(TWO, put_content), WRITE),
    Route("POST", _ITEM + "/createUploadSession", charged(TWO, create_session), WRITE),
    Route("POST", _ITEM + ":/{below...}:/createUploadSession", charged(TWO, create_session), WRITE),
    Route("POST", "/drives/{drive}/root:/{below...}:/createUploadSession", charged(TWO, create_session), WRITE),
)
#: Their URLs are a secret themselves.
OPEN = (
    Route("GET", "/preauthenticated/download/{ticket}", charged(ONE, download_preauthenticated)),
    Route("GET", "/preauthenticated/upload/{secret}", upload_status),
    Route("PUT", "/preauthenticated/upload/{secret}", charged(TWO, upload_part)),
    Route("DELETE", "/preauthenticated/upload/{secret}", cancel_upload),
)
