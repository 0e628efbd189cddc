"""URLs that are a secret themselves: who has one may download a file for some minutes (facts, B3).

Such a URL holds what it is for, and a MAC, so that a listing of a big drive leaves nothing behind.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from http import HTTPStatus

from connector.simulator.deviations import Deviation
from connector.simulator.graph.call import Call
from connector.simulator.graph.files.drive import Drive, DriveItem, refuse

_MAC = 32


def download_url(call: Call, drive: Drive, item: DriveItem) -> str:
    """The URL from which a file can be downloaded for a while."""
    until = time.time() + call.organisation.workspace.download_life
    told = json.dumps([drive.id, item.id, until]).encode()
    ticket = base64.urlsafe_b64encode(_mac(call, told) + told).decode("ascii").rstrip("=")
    return f"{call.request.host}/preauthenticated/download/{ticket}"


def file_of(call: Call, ticket: str) -> tuple[Drive, DriveItem]:
    """What such a URL leads to. Raises Refused where it is over, or was made up."""
    try:
        raw = base64.b64decode(ticket + "=" * (-len(ticket) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raw = b""
    told = raw[_MAC:]
    if not hmac.compare_digest(raw[:_MAC], _mac(call, told)):
        refuse(HTTPStatus.UNAUTHORIZED, "unauthenticated", "The URL is not valid.")
    drive_id, item_id, until = json.loads(told)
    if until < time.time():
        refuse(HTTPStatus.UNAUTHORIZED, "unauthenticated", "The URL has expired.")
    drive = call.organisation.workspace.drives[drive_id]
    return drive, drive.find(item_id)


def refuse_token(call: Call) -> None:
    """Facts, B3: no Authorization header must be sent to such a URL."""
    if call.request.header("Authorization") and not call.deviates(Deviation.TOLERANT_URLS):
        refuse(HTTPStatus.UNAUTHORIZED, "unauthenticated", "The URL takes no Authorization header.")


def _mac(call: Call, told: bytes) -> bytes:
    return hmac.digest(call.tenant.key, b"download" + told, hashlib.sha256)
