"""Exchange on premises (2016, 2019 and Subscription Edition) over EWS."""

from connector.sources.ews.mailbox import EwsMailbox
from connector.sources.ews.settings import EwsMailboxes

__all__ = ["EwsMailbox", "EwsMailboxes"]
