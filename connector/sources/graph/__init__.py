"""Microsoft Graph over HTTP: what mailboxes and shares in Microsoft 365 have in common."""

from connector.sources.graph.clouds import CLOUDS, Cloud
from connector.sources.graph.connection import Connection, Edge, Reply
from connector.sources.graph.login import AppLogin

__all__ = ["CLOUDS", "AppLogin", "Cloud", "Connection", "Edge", "Reply"]
