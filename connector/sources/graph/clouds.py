"""The clouds of Microsoft 365: where each logs apps in, where its Graph is, and to which hosts it hands out files.

https://learn.microsoft.com/graph/deployments
"""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Cloud:
    """One of them. Tokens of one are worth nothing in another."""

    #: Both without a path.
    login: str
    graph: str
    #: Where a URL that needs no login may lead: hosts, and with a dot in front all hosts below one.
    files: tuple[str, ...]

    @property
    def host(self) -> str:
        """Graph's host, for people."""
        return urlsplit(self.graph).hostname or ""

    def hands_out(self, url: str) -> bool:
        """Whether a URL that needs no login may be followed. Encrypted, unless Graph itself is not."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "https":
            return url.startswith(self.graph + "/") and host in self.files
        return any(host == each or (each.startswith(".") and host.endswith(each)) for each in self.files)


def _cloud(login: str, graph: str, *files: str) -> Cloud:
    return Cloud(f"https://{login}", f"https://{graph}", files)


#: By the names that a configuration has for them. The hosts of files outside of `global` are inferred from the names of
#: these clouds' SharePoint and Outlook: a wrong one ends in a sentence that names the host.
CLOUDS = {
    "global": _cloud(
        "login.microsoftonline.com",
        "graph.microsoft.com",
        ".sharepoint.com",
        "outlook.office.com",
        "outlook.office365.com",
    ),
    "usgov": _cloud("login.microsoftonline.us", "graph.microsoft.us", ".sharepoint.us", "outlook.office365.us"),
    "dod": _cloud(
        "login.microsoftonline.us", "dod-graph.microsoft.us", ".sharepoint-mil.us", ".dps.mil", ".office365.us"
    ),
    "china": _cloud(
        "login.partner.microsoftonline.cn",
        "microsoftgraph.chinacloudapi.cn",
        ".sharepoint.cn",
        "partner.outlook.cn",
    ),
    "bleu": _cloud("login.sovcloud-identity.fr", "graph.svc.sovcloud.fr", ".sovcloud.fr"),
    "delos": _cloud("login.sovcloud-identity.de", "graph.svc.sovcloud.de", ".sovcloud.de"),
    "govsg": _cloud("login.sovcloud-identity.sg", "graph.svc.sovcloud.sg", ".sovcloud.sg"),
}
