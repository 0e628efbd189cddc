"""The naive composition: exchangelib's `.content`, then webdavclient3's `upload_to`, with nothing proved.

`python -m tests.bench.naive MAILBOX WORLD` prints its processor seconds.
"""

import io
import secrets
import sys

from exchangelib import BASIC, IMPERSONATION, Account, Configuration, Credentials
from webdav3.client import Client

from tests.bench.world import World, measured


def main(world: World, mailbox: str) -> None:
    """Every attachment of the Inbox into the store."""
    configuration = Configuration(
        service_endpoint=world.ews["url"],
        credentials=Credentials(world.ews["user"], world.ews["password"]),
        auth_type=BASIC,
    )
    account = Account(mailbox, config=configuration, access_type=IMPERSONATION)
    # As bytes: it would write text as Latin-1.
    login = {f"webdav_{name}": world.dav[key].encode() for name, key in (("login", "user"), ("password", "password"))}
    # Its look at the parent of a file fails at Apache's root.
    store = Client({"webdav_hostname": world.dav["url"], "disable_check": True, **login})
    folder = f"naive-{secrets.token_hex(8)}"
    store.mkdir(folder)
    items = list(account.inbox.all().only("attachments"))
    with measured() as told:
        told["bytes"] = 0
        for item in items:
            for file in item.attachments:
                content = file.content
                store.upload_to(io.BytesIO(content), f"{folder}/{secrets.token_hex(8)}")
                told["bytes"] += len(content)


if __name__ == "__main__":
    main(World.read(sys.argv[2]), sys.argv[1])
