"""What changed in a drive since a token (Microsoft: driveitem-delta; facts, B2)."""

import base64
import binascii
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Any

from connector.simulator.deviations import Deviation
from connector.simulator.graph.call import Call
from connector.simulator.graph.files.charges import ONE, TWO, charged
from connector.simulator.graph.files.drive import Drive, DriveItem, refuse
from connector.simulator.graph.files.items import READ, drive_of, item_of
from connector.simulator.graph.files.shapes import deleted_shape, item_shape
from connector.simulator.graph.message import Options, Refused, Reply, invalid
from connector.simulator.graph.routes import Route

_PAGE = 200
_MOST = 1000
#: Says: nothing of what is there, only what will come.
_LATEST = "latest"


@dataclass(frozen=True)
class Position:
    """Where a client is; its token holds this, and the options of the first request."""

    #: All changes up to this moment were told.
    at: int = 0
    #: When the pass began: what had left the drive by then is nothing to a client that never heard of it.
    began: int = 0
    epoch: int = 0
    query: dict[str, str] = field(default_factory=dict)
    #: Whether the last page was an empty one.
    rested: bool = False
    #: What the last page ended with.
    last: str = ""

    @classmethod
    def read(cls, token: str) -> "Position":
        """The position that a token holds."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return cls(**json.loads(raw))
        except (binascii.Error, ValueError, TypeError):
            invalid("The token is malformed.")

    @property
    def token(self) -> str:
        """It is opaque."""
        return base64.urlsafe_b64encode(json.dumps(vars(self)).encode()).decode("ascii").rstrip("=")


def delta(call: Call) -> Reply:
    """A page of changes, with a link to the next one, or to what will have changed later."""
    epoch = call.organisation.workspace.epoch
    drive = drive_of(call)
    with drive.lock:
        folder = item_of(call)[1]
        if folder is not drive.root and not call.deviates(Deviation.FOLDER_DELTA):
            refuse(HTTPStatus.BAD_REQUEST, "notSupported", "Delta is supported for the root of a drive only.")
        fresh = Position(began=drive.clock, epoch=epoch, query=_first(call))
        token = _token(call)
        if token == _LATEST:
            return _page(call, [], deltaLink=Position(drive.clock, 0, epoch, fresh.query))
        position = Position.read(token) if token else fresh
        if position.epoch != epoch:
            raise _forgotten(call, fresh)
        return _told(call, drive, folder, position)


def _told(call: Call, drive: Drive, folder: DriveItem, position: Position) -> Reply:
    if call.deviates(Deviation.EMPTY_DELTA_PAGES) and not position.rested:
        return _page(call, [], nextLink=Position(**{**vars(position), "rested": True}))
    options = Options.of(position.query)
    size = min(options.top or _PAGE, _MOST)
    meant = (
        item
        for item in drive.since(position.at)
        if item.is_below(folder) and (item.id in drive.items or item.changed > position.began)
    )
    items = list(islice(meant, size + 1))
    page, more = items[:size], len(items) > size
    told = [_shape(call, drive, each, options) for each in page]
    if position.last in drive.items and call.deviates(Deviation.REPEATED_DELTA_ITEMS):
        told.insert(0, _shape(call, drive, drive.items[position.last], options))
    if more:
        following = Position(page[-1].changed, position.began, position.epoch, position.query, last=page[-1].id)
        return _page(call, told, nextLink=following)
    return _page(call, told, deltaLink=Position(drive.clock, 0, position.epoch, position.query))


def _shape(call: Call, drive: Drive, item: DriveItem, options: Options) -> dict[str, Any]:
    if item.id not in drive.items:
        return deleted_shape(drive, item)
    told = item_shape(call, drive, item, options)
    if call.deviates(Deviation.DELTA_WITHOUT_PATHS):
        told.get("parentReference", {}).pop("path", None)
    return told


def _page(call: Call, told: list[dict[str, Any]], **links: Position) -> Reply:
    urls = {f"@odata.{name}": _url(call, position) for name, position in links.items()}
    return Reply(json={"@odata.context": call.context("Collection(driveItem)"), **urls, "value": told})


def _forgotten(call: Call, fresh: Position) -> Refused:
    """Facts, B2: 410, how the client shall go on, and where it begins anew."""
    location = _url(call, fresh)
    says = "The provided sync token is expired. Please perform a full synchronization."
    return Refused(HTTPStatus.GONE, call.organisation.workspace.resync, says, ("Location", location))


def _first(call: Call) -> dict[str, str]:
    """The options of the first request; a token carries them."""
    token = _token(call)
    if token and token != _LATEST:
        return Position.read(token).query
    return {name: value for name, value in call.request.query.items() if name != "token"}


def _url(call: Call, position: Position) -> str:
    path = call.request.path.partition("(")[0]
    return f"{call.request.host}{path}?token={position.token}"


def _units(call: Call) -> int:
    """Facts, B7: with a token it costs half."""
    return ONE if _token(call) else TWO


def _token(call: Call) -> str:
    return call.path.get("token") or call.request.query.get("token", "")


_DELTA = charged(_units, delta)
ROUTES = (
    Route("GET", "/drives/{drive}/root/delta", _DELTA, READ),
    Route("GET", "/drives/{drive}/root/delta(token='{token}')", _DELTA, READ),
    Route("GET", "/drives/{drive}/items/{item}/delta", _DELTA, READ),
)
