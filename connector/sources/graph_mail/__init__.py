"""Mailboxes on Exchange Online over Microsoft Graph."""

from connector.sources.graph_mail.mailbox import GraphMailbox
from connector.sources.graph_mail.settings import GraphMailboxes

__all__ = ["GraphMailbox", "GraphMailboxes"]
