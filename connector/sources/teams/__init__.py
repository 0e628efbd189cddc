"""Files of Microsoft Teams, which lie in SharePoint and OneDrive, over Microsoft Graph."""

from connector.sources.teams.drive import GraphDrive, Root
from connector.sources.teams.settings import TeamsShares

__all__ = ["GraphDrive", "Root", "TeamsShares"]
