"""A simulated Nextcloud 32 over HTTP, by what was observed on a running one (facts, webdav.md).

It holds its files in memory, and shares no code with `connector.stores`.
"""

from connector.simulator.nextcloud.cloud import Cloud, Settings, User
from connector.simulator.nextcloud.http import Nextcloud

__all__ = ["Cloud", "Nextcloud", "Settings", "User"]
