"""What an administrator writes about a Nextcloud, and how it becomes a store."""

import ssl
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar, Literal, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field, FilePath, field_validator, model_validator

from connector.config.addresses import Address, Server
from connector.config.credentials import Secret
from connector.model import Audience
from connector.names import safe_name
from connector.stores.nextcloud.dav import NextcloudDav
from connector.stores.nextcloud.login import Login, by_app, by_password
from connector.stores.nextcloud.numbers import Numbers
from connector.stores.nextcloud.ocs import Ocs
from connector.stores.nextcloud.owners import OwnersStore
from connector.stores.nextcloud.readers import Readers
from connector.stores.nextcloud.store import NextcloudStore
from connector.stores.nextcloud.tags import Tags
from connector.stores.nextcloud.trash import Trash
from connector.stores.nextcloud.versions import Versions


class AppApi(BaseModel):
    """An app that an administrator registered (`occ app_api:app:register`), which acts as each account."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(default="connector", min_length=1, description="id of the app, as it was registered")
    version: str = Field(default="1.0.0", min_length=1, description="its version, as it was registered")
    secret: Secret = Field(description="where its secret is found; it opens every account of the server")


class NextcloudConfig(BaseModel):
    """A Nextcloud, and the service account there that keeps all files."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: The folder of each mailbox is opened to whom it belongs to.
    opens_folders: ClassVar[bool] = True
    #: For whom it can give links.
    audiences: ClassVar[frozenset[Audience]] = frozenset(Audience) - {Audience.STAFF}
    #: Whether files bear tags there.
    has_tags: ClassVar[bool] = True

    type: Literal["nextcloud"]
    url: Address = Field(description="address of the server, without /remote.php or /index.php")
    user: str = Field(min_length=1, description="id of the service account, not its e-mail address")
    password: Secret | None = Field(default=None, description="where an app password of the account is found")
    appapi: AppApi | None = Field(
        default=None,
        description="instead of the password: the files of a mailbox lie with its owner; the service account keeps only"
        " what belongs to nobody",
    )
    folder: str = Field(
        default="", description="folder of the account that holds everything; it must exist. Left out: its root"
    )
    readers: FilePath | None = Field(
        default=None,
        description="CSV file with the columns mailbox,reader and lines such as anna@example.org,user:anna or"
        " info@example.org,group:Front desk; left out: the account with the mailbox's e-mail address, which is"
        " safe only where people cannot edit their own",
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

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.password is None) == (self.appapi is None):
            raise ValueError("give the password of the service account, or `appapi`, and not both")
        if self.appapi and self.folder:
            raise ValueError(
                "with `appapi`, files lie where `path` says below the root of each account: leave out folder"
            )
        return self

    @property
    def one_account(self) -> bool:
        """Whether one login reads all files."""
        return self.appapi is None

    def servers(self) -> tuple[Server, ...]:
        """Whom it speaks to."""
        return (Server(self.url, self.ca),)

    @property
    def making_room(self) -> str:
        """What an administrator of Nextcloud calls to raise the quota of the account."""
        return f"occ user:setting {self.user} files quota SIZE"

    def connect(self, key: bytes) -> NextcloudStore | OwnersStore:
        """A client for one thread; nothing is sent yet. Raises LookupError where the secret or `ca` is not to be had.

        `key` is the daemon's: passwords of links are made of it.
        """
        own, ocs = self._space(self.user, key)
        if self.appapi is None:
            return own
        return OwnersStore(own, lambda user: self._space(user, key)[0], Readers(ocs, self.readers), self._owners)

    @cached_property
    def _owners(self) -> dict[str, str]:
        return {}

    def _space(self, user: str, key: bytes) -> tuple[NextcloudStore, Ocs]:
        """That of an account, and its access to the API."""
        login = self._login(user)
        base = self.url.rstrip("/") + "/"
        ocs = Ocs(base, user, login=login, folder=self.folder, trust=_trust(self.ca), timeout=self.timeout)
        whole = self._dav(f"{base}remote.php/dav", login)
        store = NextcloudStore(
            self._dav(f"{base}remote.php/dav/files/{quote(user)}/{quote(self.folder)}", login),
            self._dav(f"{base}remote.php/dav/uploads/{quote(user)}", login),
            ocs,
            Readers(ocs, self.readers),
            self.link_url or self.url,
            trash=Trash(self._dav(f"{base}remote.php/dav/trashbin/{quote(user)}/trash", login), self.folder),
            versions=Versions(self._dav(f"{base}remote.php/dav/versions/{quote(user)}/versions", login)),
            tags=Tags(whole, self.tags),
            numbers=Numbers(whole, user),
            key=key,
        )
        return store, ocs

    def _login(self, user: str) -> Login:
        if self.appapi:
            return by_app(self.appapi.id, self.appapi.version, self.appapi.secret.read(), user)
        assert self.password
        return by_password(user, self.password.read())

    def _dav(self, root: str, login: Login) -> NextcloudDav:
        return NextcloudDav(root, login=login, ca=self.ca, timeout=self.timeout)


@cache
def _trust(ca: Path | None) -> ssl.SSLContext:
    """Who may vouch for a server. To read all the authorities takes longer than many requests, so it is done once.

    Raises LookupError.
    """
    try:
        return ssl.create_default_context(cafile=ca) if ca else httpx.create_ssl_context()
    except OSError:
        raise LookupError(f"store.ca: {ca} holds no certificates (PEM)") from None
