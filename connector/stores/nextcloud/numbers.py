"""The numbers of files, which stay when these are renamed or moved: by them, an account's files are found again.

By SEARCH, as Nextcloud's manual for developers has it ("WebDAV", "Search"): one answer, however many files there are.
"""

from xml.sax.saxutils import escape

from connector.stores.nextcloud.dav import NextcloudDav

_ASKED = """<?xml version="1.0" encoding="utf-8"?>
<searchrequest xmlns="DAV:" xmlns:oc="http://owncloud.org/ns"><basicsearch>
<select><prop><resourcetype/><oc:fileid/></prop></select>
<from><scope><href>/files/{user}</href><depth>infinity</depth></scope></from>
<where><eq><prop><oc:fileid/></prop><literal>{number}</literal></eq></where><orderby/>
</basicsearch></searchrequest>"""


class Numbers:
    """Those of one account. For one thread."""

    def __init__(self, client: NextcloudDav, user: str) -> None:
        """The root of the client is that of the server's WebDAV."""
        self._client = client
        self._user = user

    def place(self, number: str) -> str | None:
        """Where the account has this file, below its root; None where it has it no more."""
        asked = _ASKED.format(user=escape(self._user), number=escape(number)).encode()
        for each in self._client.search(asked):
            if each.file_id == number and not each.collection:
                return each.path.partition(f"files/{self._user}/")[2]
        return None
