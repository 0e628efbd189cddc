"""Thunderbird, without a screen, as somebody who reads mail on an Exchange server."""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from marionette_driver.marionette import Marionette

from tests.absent import absent
from tests.servers import free_port

#: Seconds until something counts as never coming: generous, for machines that have much else to do.
_PATIENCE = 120

_PREFERENCES = {
    "app.donation.eoy.version.viewed": 999,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "mail.biff.show_alert": False,
    "mail.graph.enabled": True,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
#: Scripts run where Thunderbird's own code does. They answer, or tell why they cannot.
_AROUND = """
const [given, resolve] = arguments;
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { NetUtil } = ChromeUtils.importESModule("resource://gre/modules/NetUtil.sys.mjs");
const once = async (what) => {
  const end = Date.now() + given.patience * 1000;
  for (let found; Date.now() < end; await new Promise((next) => setTimeout(next, 50)))
    if ((found = what())) return found;
  throw new Error(`still not so: ${what}`);
};
const main = async () => {
%s
};
main().then((answer) => resolve({ answer }), (error) => resolve({ error: `${error} ${error.stack}` }));
"""
_ADD_ACCOUNT = """
  const server = MailServices.accounts.createIncomingServer(given.user, "127.0.0.1", given.kind);
  server.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
  server.password = given.password;
  server.setStringValue("ews_url", given.url);
  const account = MailServices.accounts.createAccount();
  account.incomingServer = server;
  MailServices.accounts.defaultAccount = account;
"""
_OPEN = """
  const server = MailServices.accounts.defaultAccount.incomingServer;
  const synchronised = (folder) => new Promise((done) =>
    server.getNewMessages(folder, null, { OnStartRunningUrl() {}, OnStopRunningUrl: (_, status) => done(status) }));
  if (!server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox)) synchronised(server.rootFolder);
  const inbox = await once(() => server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox));
  const status = await synchronised(inbox);
  if (status) throw new Error(`the Inbox does not synchronise: ${status}`);
  const header = await once(() => inbox.msgDatabase.getMsgHdrForMessageID(given.id));

  const window = Services.wm.getMostRecentWindow("mail:3pane");
  const pane = await once(() => window.document.getElementById("tabmail")?.currentAbout3Pane);
  if (pane.gFolder != inbox) pane.displayFolder(inbox.URI);
  await once(() => pane.gDBView?.rowCount);
  pane.threadTree.selectedIndex = -1;
  pane.threadTree.selectedIndex = pane.gDBView.findIndexOfMsgHdr(header, true);
  const reader = pane.messageBrowser.contentWindow;
  await once(() => reader.gMessage == header && reader.msgLoaded);
  const { contentDocument: page, contentWindow: view } = reader.getMessagePaneBrowser();
  await once(() => page.readyState == "complete" && [...page.images].every((image) => image.complete));
  // The page holds headers for the printer, which a style sheet hides as soon as it is there.
  await once(() => ![...page.querySelectorAll(".moz-main-header")].some((each) => each.getClientRects().length));

  // An empty one would never arrive.
  const bytes = (attachment) => attachment.size == 0 ? "" : new Promise((done, failed) =>
    NetUtil.asyncFetch({ uri: attachment.url, loadUsingSystemPrincipal: true }, (stream, status) => {
      if (status) return failed(new Error(`an attachment does not open: ${status}`));
      const size = stream.available();
      return done(size ? btoa(NetUtil.readInputStreamToString(stream, size)) : "");
    }));
  const files = [];
  for (const attachment of reader.currentAttachments)
    files.push([attachment.name, attachment.contentType, await bytes(attachment)]);
  const place = page.querySelector("[data-redirect]")?.getBoundingClientRect();
  return {
    subject: reader.document.getElementById("expandedsubjectBox").textContent.trim(),
    text: page.body.innerText,
    links: [...page.links].filter((link) => link.getClientRects().length).map((link) => link.href),
    images: [...page.images].map((image) => image.naturalWidth),
    files,
    notice: place ? [place.left, place.top, place.right - view.innerWidth, place.bottom - view.innerHeight] : null,
  };
"""


@dataclass(frozen=True)
class Shown:
    """A message, as Thunderbird shows it."""

    subject: str
    text: str
    #: The addresses of all links that can be seen.
    links: tuple[str, ...]
    #: The widths of pictures in the text: 0 for one that does not load.
    images: tuple[int, ...]
    #: Name, type and bytes of each attachment.
    files: tuple[tuple[str, str, bytes], ...]
    #: How far the notice's edges are within the pane: left and top are positive then, right and bottom negative.
    notice: list[float] | None


class Thunderbird:
    """One Thunderbird with one account."""

    def __init__(self, marionette: Marionette) -> None:
        self._marionette = marionette

    def add_account(self, url: str, account: dict[str, str], *, kind: str = "ews") -> None:
        """What a user does in the account assistant; `kind` is ews, or graph with the URL of its host."""
        self._run(_ADD_ACCOUNT, url=url, kind=kind, user=account["user"], password=account["password"])

    def open(self, message_id: str) -> Shown:
        """Get new mail, select the message in the Inbox, and look at it; save its attachments."""
        told = self._run(_OPEN, id=message_id)
        return Shown(
            subject=told["subject"],
            text=told["text"],
            links=tuple(told["links"]),
            images=tuple(told["images"]),
            files=tuple((name, kind, base64.b64decode(content)) for name, kind, content in told["files"]),
            notice=told["notice"],
        )

    def screenshot(self) -> bytes:
        """The window, as PNG."""
        return base64.b64decode(self._marionette.screenshot(full=False))

    def _run(self, script: str, **given: Any) -> Any:
        told = self._marionette.execute_async_script(_AROUND % script, script_args=[{**given, "patience": _PATIENCE}])
        assert "error" not in told, told["error"]
        return told.get("answer")


@contextlib.contextmanager
def thunderbird(folder: Path) -> Iterator[Thunderbird]:
    """Start it with a new profile in this folder."""
    program = shutil.which("thunderbird")
    if program is None:
        absent("Thunderbird is not installed (Debian: thunderbird)")
    port = free_port()
    preferences = {**_PREFERENCES, "marionette.port": port}
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
    (folder / "user.js").write_text("".join(lines))
    command = [program, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote"]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("wb"))
        # Its own home: nothing of the user's is read or written.
        environment = {**os.environ, "HOME": str(folder)}
        process = subprocess.Popen([*command, "-profile", str(folder)], stdout=log, stderr=log, env=environment)
        stack.callback(process.wait)
        stack.callback(process.kill)
        _wait_for(port, process)
        marionette = Marionette(host="127.0.0.1", port=port, socket_timeout=3 * _PATIENCE)
        marionette.start_session()
        stack.callback(marionette.delete_session)
        marionette.timeout.script = 2 * _PATIENCE
        marionette.set_context("chrome")
        yield Thunderbird(marionette)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    pytest.fail("Thunderbird did not start")
