"""The same work by whoever takes the two libraries as they come."""

from io import BytesIO

from exchangelib import BASIC, IMPERSONATION, Account, Configuration, Credentials, Version
from exchangelib.version import EXCHANGE_2016
from requests.auth import HTTPBasicAuth
from webdav3.client import Client

from tests.bench.measured import Meter
from tests.bench.world import World


def carry(meter: Meter, world: World, mailbox: str) -> None:
    """Every attachment of the Inbox into the store. Nothing is proved."""
    # Its check of the parent is a HEAD, which Apache refuses where a collection has no index.
    client = Client({"webdav_hostname": world.store, "disable_check": True})
    client.session.auth = HTTPBasicAuth(world.store_user.encode(), world.store_password.encode())
    for item in _account(world, mailbox).inbox.all():
        with meter.running():
            client.upload_to(BytesIO(item.attachments[0].content), "naive")
        client.clean("naive")


def _account(world: World, mailbox: str) -> Account:
    configuration = Configuration(
        service_endpoint=world.ews,
        credentials=Credentials(world.ews_user, world.ews_password),
        auth_type=BASIC,
        version=Version(build=EXCHANGE_2016),
    )
    return Account(mailbox, config=configuration, access_type=IMPERSONATION)
