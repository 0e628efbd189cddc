"""Nextcloud as a store: a service account keeps all files, and one read-only share opens a mailbox's to its owner.

Everything here follows what was observed on a running Nextcloud 32. A new name is written whole or not at all, and an
overwritten one is not: so nothing is ever overwritten. A checksum that a client sends is believed: so the server is
asked for its own (`X-Hash`, `X-Recalculate-Hash`). Few shares may be made: so there is one for each mailbox, and links
are the addresses of files within it (`/f/ID`), which open for whoever has that share.
"""

from connector.stores.nextcloud.settings import NextcloudConfig

__all__ = ["NextcloudConfig"]
