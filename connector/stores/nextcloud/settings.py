"""What an administrator writes about a Nextcloud, and how it becomes a store."""

import ssl
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, FilePath, field_validator

from connector.addresses import Address
from connector.credentials import Secret
from connector.model import Audience
from connector.names import safe_name
from connector.stores.dav import basic
from connector.stores.nextcloud.dav import NextcloudDav
from connector.stores.nextcloud.ocs import Ocs
from connector.stores.nextcloud.readers import Readers
from connector.stores.nextcloud.store import NextcloudStore
from connector.stores.nextcloud.tags import Tags


class NextcloudConfig(BaseModel):
    """A Nextcloud, and the service account there that keeps all files."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: The folder of each mailbox is opened to whom it belongs to.
    opens_folders: ClassVar[bool] = True
    #: For whom it can give links.
    audiences: ClassVar[frozenset[Audience]] = frozenset(Audience) - {Audience.STAFF}

    type: Literal["nextcloud"]
    url: Address = Field(description="address of the server, without /remote.php or /index.php")
    user: str = Field(min_length=1, description="id of the service account, not its e-mail address")
    password: Secret = Field(description="where an app password of the account is found")
    folder: str = Field(
        default="", description="folder of the account that holds everything; it must exist. Left out: its root"
    )
    readers: FilePath | None = Field(
        default=None,
        description="CSV file with the columns mailbox,reader and lines such as anna@example.org,user:anna or"
        " info@example.org,group:Front desk; left out: the account with the mailbox's e-mail address",
    )
    tags: tuple[str, ...] = Field(
        default=(),
        description="system tags that every file bears from the first, such as no-ai; they must exist in Nextcloud",
    )
    ca: FilePath | None = Field(
        default=None, description="PEM file with the authorities that may vouch for the server's TLS name"
    )
    link_url: Address | None = Field(
        default=None, description="address of the same server for people, where it differs"
    )
    timeout: float = Field(
        default=120, gt=0, description="seconds to wait for the server's next bytes; it hashes large files meanwhile"
    )

    @field_validator("folder")
    @classmethod
    def _folder(cls, value: str) -> str:
        if value and any(safe_name(part) != part for part in value.split("/")):
            raise ValueError("give names that every system can keep, with / between them and none at either end")
        return value

    def connect(self) -> NextcloudStore:
        """A client for one thread; nothing is sent yet. Raises LookupError where the password is not to be had."""
        password = self.password.read()
        base = self.url.rstrip("/") + "/"
        verify = ssl.create_default_context(cafile=self.ca) if self.ca else True
        ocs = Ocs(base, (self.user, password), folder=self.folder, verify=verify, timeout=self.timeout)
        return NextcloudStore(
            self._dav(f"{base}remote.php/dav/files/{quote(self.user)}/{quote(self.folder)}", password),
            self._dav(f"{base}remote.php/dav/uploads/{quote(self.user)}", password),
            ocs,
            Readers(ocs, self.readers),
            self.link_url or self.url,
            tags=Tags(self._dav(f"{base}remote.php/dav", password), self.tags) if self.tags else None,
        )

    def _dav(self, root: str, password: str) -> NextcloudDav:
        return NextcloudDav(root, auth=basic(self.user, password), ca=self.ca, timeout=self.timeout)
