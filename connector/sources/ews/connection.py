"""exchangelib, down to what it does best: authentication, sessions, impersonation and the SOAP envelope.

Left out is what costs too much or hides too much. exchangelib

- reads every reply byte by byte, and mends broken XML: a reply that was cut off looks like a shorter one;
- guesses versions and authentication by asking, and asks again by itself where a server is busy;
- keeps protocols, with their credentials, in a cache of the process, whatever CA or mailbox they belong to;
- replaces characters in what it writes that are legal XML, and logs whole requests when one fails.

So requests are written and replies are read here, and each mailbox has its own protocol.
"""

import copy
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

from exchangelib import DELEGATE, IMPERSONATION, UTC, Configuration, Credentials, Identity, Version
from exchangelib.protocol import CachingProtocol, Protocol
from exchangelib.services.common import EWSAccountService
from exchangelib.transport import DEFAULT_HEADERS
from exchangelib.version import EXCHANGE_2016
from lxml import etree
from requests import Response
from requests.auth import HTTPBasicAuth
from urllib3 import Timeout

from connector.errors import ConnectorError, Denied, Unavailable, request_in
from connector.session import Basic, Session
from connector.sources.ews.failures import Answered, Garbled, Party, Status, translate
from connector.sources.ews.filled import Filled
from connector.sources.ews.words import MESSAGES, Element, M, first, text
from connector.spool import Spool

#: Sessions, and so TCP connections, of one mailbox.
CONNECTIONS = 4
#: Seconds without a byte, until a server counts as silent.
TIMEOUT = 120
_PATIENCE = Timeout(connect=TIMEOUT, read=TIMEOUT)
#: Bytes of a reply that are read at once: more cost memory and gain nothing.
_PIECE = 256 * 1024
#: Exchange 2016, 2019 and SE all speak this version of EWS.
VERSION = Version(build=EXCHANGE_2016)

#: As a tree, or written out.
Request = Element | bytes

#: One for all threads: to make one takes as long as to read most replies, and to wait for each other takes less.
#: Never lxml's recovering parser: from a reply that was cut off it makes a whole one with less in it.
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
#: What XML cannot hold. Exchange passes such characters on from mail, as bytes or as references.
_ILLEGAL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
#: One of more digits is none of XML's, and Python reads no number of thousands of them.
_REFERENCE = re.compile(rb"&#(?:x([0-9a-fA-F]{1,20})|([0-9]{1,20}));")
#: Digits of a time to wait that count; with more it is longer than anybody waits.
_LONGEST_WAIT = 9

logging.getLogger("exchangelib").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to authenticate, and whom to trust with it."""

    #: As exchangelib names it: basic, NTLM, gssapi or CBA.
    auth_type: str
    credentials: Credentials | None
    ca: Path | None
    #: Certificate and key of the client.
    certificate: tuple[str, str] | None


class _Uncached(CachingProtocol):  # type: ignore[misc]  # exchangelib is untyped
    """Every protocol is made anew, and dies with its mailbox."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - a metaclass
        return type.__call__(cls, *args, **kwargs)


class _Protocol(Protocol, metaclass=_Uncached):  # type: ignore[misc]  # exchangelib is untyped
    """The sessions of one mailbox."""

    TIMEOUT = TIMEOUT

    def __init__(self, config: Configuration, login: Login) -> None:
        super().__init__(config=config)
        self._login = login

    @classmethod
    def raw_session(cls, prefix: str, **_: object) -> Session:
        """Exchangelib's hook: the session before it knows how to log in."""
        return Session(prefix, DEFAULT_HEADERS)

    def create_session(self) -> Session:
        """A session that heeds nothing from the environment: no proxies, no netrc, no other CA bundle."""
        session: Session = super().create_session()
        session.verify = str(self._login.ca) if self._login.ca else True
        session.cert = self._login.certificate
        if isinstance(session.auth, HTTPBasicAuth):
            session.auth = Basic(str(session.auth.username), str(session.auth.password))
        return session


@dataclass
class _Account:
    """What exchangelib's services ask of an account. Its own class would use the cache."""

    protocol: _Protocol
    primary_smtp_address: str
    access_type: str
    identity: Identity
    version: Version = VERSION
    default_timezone: Any = UTC
    affinity_cookie: str | None = None
    #: Whether its requests shall come to the server of `primary_smtp_address`, whomever they are made for.
    affinity: bool = False

    @cached_property
    def envelope(self) -> tuple[bytes, bytes]:
        """What exchangelib puts before and behind each request: the same every time."""
        wrapped: bytes = _Operation(account=self).wrap(M.Request(), VERSION.api_version)
        before, place, after = wrapped.partition(b"<m:Request/>")
        assert place
        return before, after


class _Operation(EWSAccountService):  # type: ignore[misc]  # exchangelib is untyped
    """One request to a mailbox, as exchangelib wraps and sends it."""

    SERVICE_NAME = "EWS"
    #: What stands for `FILLING` in the request, and is sent without ever being whole in memory.
    filling: Spool | None = None
    #: What was answered, unless it streams.
    reply = b""

    def post(self, request: Request, *, streaming: bool = False) -> Response:
        """The reply. If streaming, `stop_streaming` must follow, or the session is lost."""
        self.streaming = streaming
        self.prefer_affinity = self.account.affinity
        try:
            response: Response = self._get_response(payload=request, api_version=VERSION.api_version)
        except Status as answer:
            if self.filling and answer.status == HTTPStatus.NOT_FOUND:
                # What IIS says to a request that is too large: 404.13, "content length too large".
                raise Status(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, request=answer.request) from None
            raise
        return response

    def _get_response(self, payload: Request, api_version: str) -> Response:  # noqa: ARG002 - exchangelib's signature
        """Exchangelib's hook for the wire. Its own gathers for each request what a log could say of it."""
        session = self.protocol.get_session()
        try:
            response: Response = session.request(
                "POST",
                self.protocol.service_endpoint,
                data=self._wrapped(payload),
                # By ours, too, a request is found in the logs of Exchange, which gives it back.
                headers={
                    **self._extra_headers(),
                    "client-request-id": str(uuid4()),
                    "return-client-request-id": "true",
                },
                timeout=_PATIENCE,
            )
            _refuse_others(response)
            if not self.streaming:
                # Now: the session is another's in a moment.
                self.reply = response.raw.read(decode_content=True)
        except KeyError:
            # What NTLM raises where a server breaks off the handshake.
            self.protocol.retire_session(session)
            raise Garbled from None
        except BaseException:
            self.protocol.retire_session(session)
            raise
        self._handle_response_cookies(session)
        if self.streaming:
            self._streaming_session, self._streaming_response = session, response
        else:
            self.protocol.release_session(session)
        return response

    def _wrapped(self, request: Request) -> bytes | Filled:
        before, after = self.account.envelope
        envelope = before + (request if isinstance(request, bytes) else etree.tostring(request)) + after
        return Filled(envelope, self.filling) if self.filling else envelope


def _refuse_others(response: Response) -> None:
    """EWS answers with 200, and SOAP faults with 500; all else is for `failures` to tell."""
    said = response.headers.get("Content-Type", "")
    if response.status_code == HTTPStatus.OK and "html" not in said:
        return
    if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and "xml" in said:
        return
    seconds = response.headers.get("Retry-After", "")
    wait = timedelta(seconds=int(seconds[:_LONGEST_WAIT])) if seconds.isdecimal() else None
    raise Status(response.status_code, wait, request_in(response.headers))


class Connection:
    """One mailbox on one server. Every failure of its verbs is told as one of `connector.errors`."""

    def __init__(self, url: str, login: Login, party: Party, *, group: bool = False) -> None:
        """No request is made before the first question. For a group there is one session, which keeps to one server."""
        self.party = party
        #: Of the last answer.
        self._headers: Mapping[str, str] = {}
        #: The build that answered last, such as 15.1.2507.6; "" where it did not say.
        self.build = ""
        config = Configuration(
            service_endpoint=url,
            credentials=login.credentials,
            auth_type=login.auth_type,
            version=VERSION,
            max_connections=1 if group else CONNECTIONS,
        )
        self._account = _Account(
            protocol=_Protocol(config, login),
            primary_smtp_address=party.mailbox,
            access_type=IMPERSONATION if party.impersonation else DELEGATE,
            identity=Identity(primary_smtp_address=party.mailbox),
            affinity=group,
        )

    @property
    def date(self) -> datetime | None:
        """What time the server's last answer said it was."""
        try:
            date = parsedate_to_datetime(self._headers.get("Date", ""))
        except ValueError:
            return None
        return date if date.tzinfo else None

    def on_behalf(self, party: Party) -> "Connection":
        """The same session for another mailbox of the group."""
        twin = copy.copy(self)
        twin.party = party
        twin._account = replace(self._account, identity=Identity(primary_smtp_address=party.mailbox))  # noqa: SLF001 - its own kind
        return twin

    def ask(self, request: Request, filling: Spool | None = None, *, number: int = 1) -> list[Element]:
        """The response messages; the first one that tells of an error is raised. See `answers`."""
        answers = self.answers(request, filling, number=number)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if not isinstance(answer, Exception)]

    def answers(self, request: Request, filling: Spool | None = None, *, number: int = 1) -> list[Element | Exception]:
        """The response messages, one for each thing asked for: its element, or the error that it tells.

        `filling` goes into the request as base64, where `FILLING` stands in it. `number` is how many things are asked
        for: an answer with more or fewer messages is none, for nobody knows which of them is about what.
        """
        operation = _Operation(account=self._account)
        operation.filling = filling
        with self.told():
            response = operation.post(request)
            self._headers = response.headers
            envelope = parsed(operation.reply)
            self.build = _build(envelope) or self.build
            messages = response_messages(envelope)
        answers = [self._translated(message) if isinstance(message, Answered) else message for message in messages]
        if len(answers) != number:
            # A server that refuses all of them may say so once. It never says so that one of them is gone.
            refused = (each for each in answers if isinstance(each, Unavailable | Denied))
            raise next(refused, self._translated(Garbled()))
        return answers

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        """The reply as it comes in. The connection is given back when the context ends."""
        operation = _Operation(account=self._account)
        with self.told():
            response = operation.post(request, streaming=True)
            self._headers = response.headers
        try:
            yield response.iter_content(_PIECE)
        finally:
            operation.stop_streaming()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Translate what is raised within."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - `translate` hands back what it does not know
            # Without its origin: a traceback of exchangelib may hold parts of a message.
            raise self._translated(error) from None

    def _translated(self, error: Exception) -> Exception:
        told = translate(error, self.party)
        if isinstance(told, ConnectorError) and isinstance(error, Answered | Status):
            told.request = error.request if isinstance(error, Status) else request_in(self._headers)
        return told


def response_messages(envelope: Element) -> list[Element | Answered]:
    """Split a reply into its response messages, each checked. Raises Answered for a SOAP fault, Garbled."""
    body = first(envelope, "s:Body")
    if body is None or not len(body):
        raise Garbled
    if (fault := first(body, "s:Fault")) is not None:
        raise _error(fault)
    messages = first(body[0], "m:ResponseMessages")
    if messages is None:
        raise Garbled
    return [_message(each) for each in messages.iterchildren("{*}*")]


#: What there is where these succeed, were it empty: files are deleted where nothing is found.
_HOLD = {
    f"{{{MESSAGES}}}FindFolderResponseMessage": "m:RootFolder",
    f"{{{MESSAGES}}}FindItemResponseMessage": "m:RootFolder/t:Items",
    f"{{{MESSAGES}}}GetItemResponseMessage": "m:Items/*/t:ItemId",
}


def _message(told: Element) -> Element | Answered:
    if told.get("ResponseClass") != "Success":
        return _error(told)
    if told.tag in _HOLD and first(told, _HOLD[told.tag]) is None:
        raise Garbled
    return told


def parsed(reply: bytes) -> Element:
    """A reply as a tree. Raises Garbled."""
    try:
        try:
            return etree.fromstring(reply, _PARSER)
        except etree.XMLSyntaxError:
            return etree.fromstring(_ILLEGAL.sub(b"", _REFERENCE.sub(_if_legal, reply)), _PARSER)
    except etree.XMLSyntaxError:
        raise Garbled from None


def _if_legal(reference: re.Match[bytes]) -> bytes:
    hexadecimal, decimal = reference.groups()
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    legal = code in {9, 10, 13} or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code <= 0x10FFFF  # noqa: PLR2004 - https://www.w3.org/TR/xml/#charsets
    return reference.group() if legal else b""


#: What may be repeated: nothing else that a server writes.
_CODE = re.compile(r"\w{1,80}", re.ASCII)
#: What is answered about one item, or one file of it.
_OF_ITEM = re.compile(r"(?:Get|Create|Update|Copy|Move|Delete)(?:Item|Attachment)ResponseMessage")


def _error(told: Element) -> Answered:
    code = next((element.text for element in told.iter("{*}ResponseCode")), None)
    # A fault that knows no response code has at least one like `a:ErrorSchemaValidation`.
    code = code or text(told, "faultcode").rpartition(":")[2]
    code = code if _CODE.fullmatch(code) else "no response code"
    of_item = bool(_OF_ITEM.fullmatch(etree.QName(told).localname))
    subscriptions = tuple(each.text or "" for each in told.iterfind("{*}ErrorSubscriptionIds/{*}SubscriptionId"))
    for value in told.iter("{*}Value"):
        if value.get("Name") == "BackOffMilliseconds" and (value.text or "").isdecimal():
            wait = timedelta(milliseconds=int((value.text or "")[:_LONGEST_WAIT]))
            return Answered(code, wait, subscriptions, of_item=of_item)
    return Answered(code, None, subscriptions, of_item=of_item)


def _build(envelope: Element) -> str:
    version = first(envelope, "s:Header/t:ServerVersionInfo")
    if version is None:
        return ""
    numbers = ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")
    return ".".join(version.get(name, "0") for name in numbers)
