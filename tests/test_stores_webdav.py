"""The WebDAV store on Apache, nginx, rclone and WsgiDAV, and before servers that lie."""

from dataclasses import dataclass, field
from uuid import uuid4
from typing import Iterator
import os
from pathlib import Path

import pytest
import requests
from requests.auth import HTTPBasicAuth, HTTPDigestAuth, AuthBase
from urllib.parse import quote

from connector.stores import Store
from connector.stores.webdav import WebdavConfig, WebdavStore
from tests.laws.stores import StoreLaws, contents, spool
from tests.servers import DavServer


@dataclass
class WebdavWorld:
    """A collection of its own on a real server."""

    server: DavServer
    root: str = field(default_factory=lambda: uuid4().hex)

    def connect(self) -> WebdavStore:
        """A client of its own."""
        return self.config().connect()

    def overwrite(self, path: str, data: bytes) -> None:
        requests.put(self.url + quote(path), data=data, auth=self.credentials, timeout=10).raise_for_status()

    @property
    def url(self) -> str:
        return f"{self.server.url}{self.root}/"

    @property
    def credentials(self) -> AuthBase:
        if self.server.auth == "digest":
            return HTTPDigestAuth(self.server.user, self.server.password)
        return HTTPBasicAuth(self.server.user.encode(), self.server.password.encode())

    def config(self) -> WebdavConfig:
        return WebdavConfig.model_validate(
            {
                "type": "webdav",
                "url": self.url,
                "user": self.server.user,
                "password": {"env": "DAV_PASSWORD"},
                "auth": self.server.auth,
            }
        )


class TestWebdavStore(StoreLaws):
    @pytest.fixture
    def world(self, dav_server: DavServer, monkeypatch: pytest.MonkeyPatch) -> WebdavWorld:
        monkeypatch.setenv("DAV_PASSWORD", dav_server.password)
        world = WebdavWorld(dav_server)
        requests.request("MKCOL", world.url, auth=world.credentials, timeout=10).raise_for_status()
        return world
