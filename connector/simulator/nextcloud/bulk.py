"""Several files in one request (facts, 2.2): the one place where a checksum of the client's is held against bytes."""

import json
import re

from connector.simulator.nextcloud.cloud import Cloud, User
from connector.simulator.nextcloud.message import Refused, Reply, Request, not_found
from connector.simulator.nextcloud.properties import rights
from connector.simulator.nextcloud.writing import hashed


def several(cloud: Cloud, request: Request, user: User) -> Reply:
    """One wrong or absent MD5 refuses the whole request; what exists is overwritten."""
    parts = list(_parts(request))
    if not parts or any(hashed("md5", body) != headers.get("x-file-md5", "").lower() for headers, body in parts):
        return Reply(400, b"[]", "application/json")
    told = {headers["x-file-path"]: _one(cloud, user, headers["x-file-path"], body) for headers, body in parts}
    return Reply(200, json.dumps(told).encode(), "application/json")


def _one(cloud: Cloud, user: User, path: str, body: bytes) -> dict[str, object]:
    try:
        parent, may, name = cloud.place(user, path, missing=not_found(path))
        node, _ = cloud.write(parent, may, name, body)
    except Refused as refused:
        return {"error": True, "message": refused.message}
    permissions = rights(node, may, shared=False)
    return {"error": False, "etag": node.etag.strip('"'), "fileid": cloud.file_id(node), "permissions": permissions}


def _parts(request: Request) -> list[tuple[dict[str, str], bytes]]:
    """Headers, by their names in lower case, and bodies: their lengths are told (RFC 2387)."""
    boundary = re.search(r'boundary="?([^";]+)', request.header("Content-Type"))
    left, parts = request.body, []
    while boundary and left.startswith(f"--{boundary[1]}\r\n".encode()):
        head, _, left = left.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
        headers = {name.lower(): value for name, _, value in lines}
        length = int(headers["content-length"])
        parts.append((headers, left[:length]))
        left = left[length:].removeprefix(b"\r\n")
    return parts
