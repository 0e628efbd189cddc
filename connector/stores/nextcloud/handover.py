"""The folder of a mailbox goes from one account to another, and the addresses of its files stay what they are.

The giver shares it with the taker for a while, who moves out of it what is in it. Whether files keep their numbers then
is tried before anything of anybody's is moved. Repeated, it goes on where it was broken off.
"""

from io import BytesIO

from connector.config.readers import USER, Reader
from connector.errors import Rejected
from connector.spool import spooled
from connector.stores.nextcloud.ocs import ALL
from connector.stores.nextcloud.store import NextcloudStore

#: A name that no file of a mailbox has: they lie in folders below.
_PROBE = "connector.probe"


def hand_over(folder: str, giver: NextcloudStore, taker: NextcloudStore) -> None:
    """All that is in the folder; nothing counts as done.

    Raises Rejected where links would end, or change, or where the server is behind.
    """
    if giver.names(folder):
        _require_no_public_links(folder, giver, taker)
        for each in giver.ocs.shares(folder):  # Those who lose access lose it first.
            giver.ocs.unshare(each.id)
        share = giver.ocs.share(folder, Reader(USER, taker.ocs.user), ALL)
        taker.ocs.accept(share.id)
        place = taker.ocs.received(share.id)
        if place is None:
            raise Rejected(
                f"{giver.ocs.host} does not show {taker.ocs.user} yet what {giver.ocs.user} shares: where it stays so,"
                " let accounts accept shares by themselves"
            )
        try:
            _require_numbers_kept(folder, place, giver, taker)
        except Rejected:
            giver.ocs.unshare(share.id)
            raise
        _move(folder, place, giver, taker)
    # With what it was shared by.
    giver.delete(folder)


def _require_no_public_links(folder: str, giver: NextcloudStore, taker: NextcloudStore) -> None:
    if giver.ocs.links_below(folder):
        raise Rejected(
            f"public links on {giver.ocs.host} lead into files that lie with {giver.ocs.user}, and would end if these"
            f" went to {taker.ocs.user}: revoke them first, or let links be those of connector's own link service"
        )


def _require_numbers_kept(folder: str, place: str, giver: NextcloudStore, taker: NextcloudStore) -> None:
    path = f"{folder}/{_PROBE}"
    taker.delete(path)
    with spooled(BytesIO()) as nothing:
        stored = giver.put(path, nothing)
    before = giver.ids([stored])
    taker.take(f"{place}/{_PROBE}", path)
    after = taker.ids([stored])
    taker.delete(path)
    if before != after:
        raise Rejected(
            f"{giver.ocs.host} gives files other numbers when they go to another account: their links change"
        )


def _move(folder: str, place: str, giver: NextcloudStore, taker: NextcloudStore) -> None:
    for name in giver.names(folder):
        path = f"{folder}/{name}"
        if taker.take(f"{place}/{name}", path):
            continue
        if giver.has_file(path):
            raise Rejected(
                f"a file of one name is with {giver.ocs.user} and with {taker.ocs.user} on {giver.ocs.host}: take one"
                " of them away"
            )
        # A folder of this name came before: what is in it goes one by one.
        _move(path, f"{place}/{name}", giver, taker)
        giver.delete(path)
