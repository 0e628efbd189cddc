"""The simulated Exchange as fixtures, judged by Microsoft's schema; DavMail, to look at it over IMAP."""

import base64
import contextlib
import functools
import http.client
import imaplib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from exchangelib import BASIC, DELEGATE, IMPERSONATION, Account, Configuration, Credentials
from lxml import etree

from connector.simulator import Exchange
from tests.absent import absent
from tests.graph import GraphJudge

Element: TypeAlias = etree._Element
Login = Callable[[dict[str, str]], imaplib.IMAP4]

_DATA = "CONNECTOR_TEST_DATA"
_BODY = "{http://schemas.xmlsoap.org/soap/envelope/}Body"
_EWS = "http://schemas.microsoft.com/exchange/services/2006"
_DAVMAIL = Path("/usr/share/davmail/davmail.jar")
_SETTINGS = """\
davmail.server=true
davmail.mode=EWS
davmail.url={url}
davmail.bindAddress=127.0.0.1
davmail.allowRemote=false
davmail.imapPort={imap}
davmail.smtpPort=
davmail.popPort=
davmail.caldavPort=
davmail.ldapPort=
davmail.disableUpdateCheck=true
davmail.logFilePath={log}
"""


def test_data(*parts: str) -> Path | None:
    """Data from outside the project; None where none is at hand. Fails where it is promised and absent."""
    promised = os.environ.get(_DATA)
    root = Path(promised) if promised else Path(__file__).parents[2] / "shared" / "data"
    path = root.joinpath(*parts)
    if path.exists():
        return path
    if promised:
        pytest.fail(f"{_DATA} is set, but {path} does not exist")
    return None


test_data.__test__ = False  # type: ignore[attr-defined]  # a helper that pytest would take for a test


class Judge:
    """Holds every request and every reply against Microsoft's schema. A bad request has to be refused as such."""

    def __init__(self, schema: etree.XMLSchema | None) -> None:
        self.complaints: list[str] = []
        self.judged = 0
        self._schema = schema
        self._lock = threading.Lock()

    def witness(self, request: bytes, reply: bytes) -> None:
        """Judge one exchange of messages."""
        with self._lock:
            self.judged += 1
            if b"ErrorInternalServerError" in reply:
                self.complaints.append(f"a bug of the simulator: {request[:2000]!r}")
            if b">ErrorSchemaValidation<" not in reply:
                self._check("request", request)
            self._check("reply", reply)

    def _check(self, what: str, document: bytes) -> None:
        try:
            messages = _parse(document).findall(f"{_BODY}/*")
        except etree.XMLSyntaxError as error:
            self.complaints.append(f"{what} is no XML: {error}")
            return
        for message in messages:
            name = etree.QName(message).localname
            if self._schema is None or name == "Fault":
                continue
            if not self._schema.validate(etree.ElementTree(_parse(etree.tostring(message)))):
                self.complaints.append(f"{what} {name}: {self._schema.error_log}")


def _parse(document: bytes) -> Element:
    return etree.fromstring(document, etree.XMLParser(huge_tree=True))


class Owner:
    """The owner of a mailbox, in plain SOAP: no client library stands in between. Answers the child of soap:Body."""

    def __init__(self, exchange: Exchange, account: dict[str, str]) -> None:
        self.account = account
        self._host = exchange.ews.split("/")[2]

    def ask(self, request: str, *, impersonate: str = "", anchor: str = "") -> Element:
        """Send one request, written with `m:` and `t:`."""
        status, reply = self.send(request, impersonate=impersonate, anchor=anchor)
        assert status in (200, 500)
        body = _parse(reply).find(f"{_BODY}/*")
        assert body is not None
        return body

    def send(self, request: str, *, impersonate: str = "", anchor: str = "") -> tuple[int, bytes]:
        """Send one request; HTTP status and what came."""
        basic = base64.b64encode(f"{self.account['user']}:{self.account['password']}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "text/xml", "X-AnchorMailbox": anchor}
        with contextlib.closing(http.client.HTTPConnection(self._host, timeout=30)) as connection:
            connection.request("POST", "/EWS/Exchange.asmx", _envelope(request, impersonate).encode(), headers)
            response = connection.getresponse()
            return response.status, response.read()

    def item(self, item: str, shape: str = "AllProperties", more: str = "") -> Element:
        """GetItem of one item."""
        return self.ask(
            f"<m:GetItem><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{more}</m:ItemShape>"
            f'<m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
        )

    def change_key(self, item: str) -> str:
        """The change key that a read shows."""
        found = self.item(item, "IdOnly").find(".//{*}ItemId")
        assert found is not None
        return str(found.get("ChangeKey"))

    def update(self, item: str, *updates: str, key: str = "", resolution: str = "NeverOverwrite") -> Element:
        """UpdateItem of one item, with its present change key unless another one is given."""
        return self.ask(
            f'<m:UpdateItem ConflictResolution="{resolution}" SuppressReadReceipts="true"><m:ItemChanges>'
            f'<t:ItemChange><t:ItemId Id="{item}" ChangeKey="{key or self.change_key(item)}"/>'
            f"<t:Updates>{''.join(updates)}</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
        )

    def delete(self, *items: str, kind: str = "HardDelete") -> Element:
        """DeleteItem."""
        named = "".join(f'<t:ItemId Id="{each}"/>' for each in items)
        return self.ask(f'<m:DeleteItem DeleteType="{kind}"><m:ItemIds>{named}</m:ItemIds></m:DeleteItem>')

    def move(self, item: str, folder: str) -> Element:
        """MoveItem to a distinguished folder."""
        return self.ask(
            f'<m:MoveItem><m:ToFolderId><t:DistinguishedFolderId Id="{folder}"/></m:ToFolderId>'
            f'<m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:MoveItem>'
        )

    def find(self, *folders: str, restriction: str = "") -> list[str]:
        """FindItem in distinguished folders: the ids."""
        named = "".join(f'<t:DistinguishedFolderId Id="{each}"/>' for each in folders)
        return said(
            self.ask(
                '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
                f"{restriction}<m:ParentFolderIds>{named}</m:ParentFolderIds></m:FindItem>"
            ),
            "t:ItemId",
        )

    def sync(self, state: str = "", most: int = 512) -> Element:
        """SyncFolderItems of the Inbox."""
        known = f"<m:SyncState>{state}</m:SyncState>" if state else ""
        return self.ask(
            "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
            f'<m:SyncFolderId><t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId>{known}'
            f"<m:MaxChangesReturned>{most}</m:MaxChangesReturned></m:SyncFolderItems>"
        )

    def attachments(self, *identifiers: str, operation: str = "Get") -> Element:
        """GetAttachment or DeleteAttachment."""
        named = "".join(f'<t:AttachmentId Id="{each}"/>' for each in identifiers)
        request = f"m:{operation}Attachment"
        return self.ask(f"<{request}><m:AttachmentIds>{named}</m:AttachmentIds></{request}>")


def setting(uri: str, value: str) -> str:
    """A t:SetItemField; `value` is the element that the field is set to."""
    return f'<t:SetItemField><t:FieldURI FieldURI="{uri}"/><t:Message>{value}</t:Message></t:SetItemField>'


def setting_extended(path: str, value: str) -> str:
    """A t:SetItemField of an extended property; `path` are the attributes of its t:ExtendedFieldURI."""
    named = f"<t:ExtendedFieldURI {path}/>"
    told = f"<t:Message><t:ExtendedProperty>{named}<t:Value>{value}</t:Value></t:ExtendedProperty></t:Message>"
    return f"<t:SetItemField>{named}{told}</t:SetItemField>"


def new_body(html: str) -> str:
    """A t:SetItemField of the body."""
    return setting("item:Body", f'<t:Body BodyType="HTML">{html}</t:Body>')


def said(reply: Element, path: str) -> list[str]:
    """The text, or the Id, of all elements at a path of `m:` and `t:` names within a reply."""
    found = reply.iterfind(f".//{path}", {"m": f"{_EWS}/messages", "t": f"{_EWS}/types"})
    return [each.get("Id") or each.text or "" for each in found]


def code(reply: Element) -> str:
    """The ResponseCode of the first result, or of the fault."""
    return next(str(each.text) for each in reply.iter("{*}ResponseCode"))


def _envelope(request: str, impersonate: str) -> str:
    impersonation = (
        "<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>"
        f"{impersonate}</t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>"
    )
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
        f' xmlns:m="{_EWS}/messages" xmlns:t="{_EWS}/types">'
        f'<s:Header><t:RequestServerVersion Version="Exchange2016"/>{impersonation if impersonate else ""}</s:Header>'
        f"<s:Body>{request}</s:Body></s:Envelope>"
    )


def outlook(exchange: Exchange, address: str) -> Account:
    """The mailbox as its owner's client sees it, through exchangelib."""
    account = next(each for each in exchange.accounts if each["mailbox"] == address)
    return through_exchangelib(exchange, account, BASIC)


def through_exchangelib(exchange: Exchange, login: dict[str, str], auth_type: str, *, impersonate: str = "") -> Account:
    """A mailbox through exchangelib; with `impersonate` another one than that of the login."""
    configuration = Configuration(
        service_endpoint=exchange.ews,
        credentials=Credentials(login["user"], login["password"]),
        auth_type=auth_type,
        max_connections=4,
    )
    return Account(
        impersonate or login.get("mailbox", login["user"]),
        config=configuration,
        access_type=IMPERSONATION if impersonate else DELEGATE,
    )


@functools.cache
def _schema() -> etree.XMLSchema | None:
    found = test_data("ews", "2016", "messages.xsd")
    return etree.XMLSchema(etree.parse(str(found))) if found else None


@pytest.fixture
def judge() -> Iterator[Judge]:
    """The judge of this test's EWS; all its complaints fail the test. A test may take back what it provoked."""
    judge = Judge(_schema())
    yield judge
    assert not judge.complaints


@pytest.fixture
def exchange(judge: Judge, graph_judge: GraphJudge) -> Iterator[Exchange]:
    """An empty organisation; the test makes the mailboxes."""
    with Exchange(witness=judge.witness, graph_witness=graph_judge.witness) as exchange:
        yield exchange


@pytest.fixture
def anna(exchange: Exchange) -> Owner:
    """Anna, who has a mailbox in `exchange`."""
    return Owner(exchange, exchange.add_mailbox("anna@example.org"))


@pytest.fixture
def davmail(exchange: Exchange, tmp_path: Path) -> Iterator[Login]:
    """Log in over IMAP at a DavMail in front of `exchange`: a client that we did not write."""
    if not _DAVMAIL.exists() or shutil.which("java") is None:
        absent("DavMail is not installed (Debian: davmail)")
    port = _free_port()
    settings = tmp_path / "davmail.properties"
    settings.write_text(_SETTINGS.format(url=exchange.ews, imap=port, log=tmp_path / "davmail.log"))
    command = ["java", "-Xmx256m", "-Djava.awt.headless=true", "-jar", str(_DAVMAIL), "-server", str(settings)]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((tmp_path / "davmail.out").open("wb"))
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        _wait_for(port)

        def login(account: dict[str, str]) -> imaplib.IMAP4:
            client = imaplib.IMAP4("127.0.0.1", port, timeout=60)
            stack.callback(_log_out, client)
            client.login(account["user"], account["password"])
            return client

        yield login


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    pytest.fail("DavMail did not start within a minute")


def _log_out(client: imaplib.IMAP4) -> None:
    with contextlib.suppress(OSError, imaplib.IMAP4.error):
        client.logout()
