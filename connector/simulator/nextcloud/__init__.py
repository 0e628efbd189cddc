"""A simulated Nextcloud 32 over HTTP, by what was observed on a running one (facts, webdav.md).

It holds its files in memory, and shares no code with `connector.stores`. Tests hold it against its laws, row by row.

A test acts on `Nextcloud.cloud`: it adds and removes accounts, disables them, sets quotas and groups, and `settings`
for what an administrator may choose; stops the clock or moves it `ahead`; locks a file, or lets the next request lose
a race. The disk `flips` or `shortens` what it is given; `Nextcloud.drops` breaks the line at the n-th request, before
its effect, after it, or while it is answered. What no fact holds is not there: Talk, Deck and Team folders. System
tags, the trash and versions are, as the server's documentation and code have them.
"""

from connector.simulator.nextcloud.cloud import Cloud, Settings, User
from connector.simulator.nextcloud.http import Nextcloud

__all__ = ["Cloud", "Nextcloud", "Settings", "User"]
