"""rclone at a simulated drive, which it takes for one of SharePoint's."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.absent import absent
from tests.servers import DavServer
from tests.tunnel import Authority

_DRIVE = "[drive]\ntype = onedrive\ntoken = {token}\ndrive_id = {drive}\ndrive_type = documentLibrary\n"
_STORE = "[store]\ntype = webdav\nvendor = other\nurl = {url}\nuser = {user}\npass = {password}\n"


class Rclone:
    """The program, set up for one drive, `drive:`, and where there is one, for a store, `store:`."""

    def __init__(
        self, folder: Path, proxy: str, authority: Authority, *, drive: str, token: str, store: DavServer | None = None
    ) -> None:
        """`folder` gets its configuration, and `proxy` leads to the simulator."""
        self._config = folder / "rclone.conf"
        self._trust = authority.certificate
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "HTTPS_PROXY": proxy}
        told = {"access_token": token, "token_type": "Bearer", "expiry": "2099-01-01T00:00:00Z"}
        remotes = _DRIVE.format(token=json.dumps(told), drive=drive)
        if store:
            password = self.run("obscure", store.password).strip()
            remotes += _STORE.format(url=store.url, user=store.user, password=password)
        self._config.write_text(remotes)

    def run(self, *arguments: str) -> str:
        """Run a command to its end; what it says."""
        command = ["rclone", "--config", str(self._config), "--ca-cert", str(self._trust), "--retries", "1", *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


def need_rclone() -> None:
    """Skip the test where it is not installed; in CI, fail it."""
    if shutil.which("rclone") is None:
        absent("rclone is not installed (Debian: rclone)")
