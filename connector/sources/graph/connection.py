"""Graph, asked over HTTP: tokens, pages, batches, streams, and the addresses that open a file without a login.

Nothing here waits or tries again; what Graph says of waiting goes on to the caller. A mailbox or drive has one thread
at a time, and a thread one request: so no mailbox ever has the four at once that Exchange Online bears. How many there
are in all, the pool of connections bounds.
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from math import isnan
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
import urllib3

from connector import __version__
from connector.errors import Unavailable, request_in
from connector.sources.graph.failures import Answered, Endless, Garbled, Grief, Party, Strayed, translate
from connector.sources.graph.login import TIMEOUT, AppLogin, Tokens
from connector.sources.onward import Onward
from connector.spool import CHUNK, Spool

JSON = dict[str, Any]


class Told(JSON):
    """An object in an answer. What it lacks, where somebody relies on it, makes that answer none: no bug of ours."""

    def __missing__(self, name: str) -> Any:
        # It may be this one thing, every time: no other has to wait for it.
        raise Grief(f"an answer of Graph is not a whole reply: it lacks {name}")


#: As Microsoft wants programs named, to know them from attacks (SharePoint: "decorate your traffic").
USER_AGENT = f"NONISV|connector|connector/{__version__}"
_ALWAYS = {"User-Agent": USER_AGENT, "Accept": "*/*"}
#: Ids that stay when a message is moved. Graph gives them only where every single request asks for them.
IMMUTABLE = 'IdType="ImmutableId"'
#: Requests in a batch, at most.
BATCH = 20
#: Of an upload session: less than 4 MB, and a multiple of 320 KiB, as drives want it.
PART = 12 * 320 * 1024
#: Bytes; no reply is longer but a file's. A message brings its body along, not what is attached to it.
_LONGEST_ANSWER = 64 * 1024 * 1024
#: What these names stand for, wherever they stand: all who read them rely on it.
_KINDS: Mapping[str, type] = {
    **dict.fromkeys(("id", "name", "displayName", "email", "parentFolderId", "driveId"), str),
    **dict.fromkeys(("@odata.type", "@odata.nextLink", "@odata.deltaLink", "attachments@odata.nextLink"), str),
    **dict.fromkeys(("from", "emailAddress", "parentReference", "file", "hashes", "publication"), dict),
    **dict.fromkeys(("lastModifiedBy", "user", "grantedToV2", "headers"), dict),
    **dict.fromkeys(("categories", "attachments", "responses", "grantedToIdentitiesV2"), list),
    **dict.fromkeys(("toRecipients", "ccRecipients", "bccRecipients"), list),
    **dict.fromkeys(("internetMessageHeaders", "singleValueExtendedProperties"), list),
    "size": int,
}
#: Lists of these hold text, those of all others objects.
_OF_TEXT = frozenset({"categories"})
#: Seconds; whoever names more has a mistake in it, and no calendar goes that far.
_LONGEST_WAIT = 24 * 60 * 60
#: Seconds that a request waits for one of the others to end.
_QUEUE = 120
_CLAIMS = re.compile(r'claims="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: JSON, {} where there is none, and headers."""

    body: JSON
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Incoming:
    """Bytes as they come in."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a batch."""

    method: str
    #: As for `Connection.ask`.
    where: str
    body: JSON | None = None
    #: Whom it concerns, where that is not the one who asks for the batch.
    party: Party | None = None


class Budget:
    """What all drives of an app may ask for together: SharePoint counts the app, not the drive.

    Once one of them is told to wait, the others wait too; that one waits anyhow. Threads may share it.
    """

    def __init__(self) -> None:
        self._used_up = (datetime.min.replace(tzinfo=UTC), "")

    def used_up(self, party: Party, wait: timedelta) -> None:
        """Nothing more may be asked for so long; this one was told."""
        self._used_up = (datetime.now(UTC) + wait, party.whose)

    def require(self, party: Party) -> None:
        """Raise Unavailable where another one was told that nothing more may be asked by now."""
        until, told = self._used_up
        left = until - datetime.now(UTC)
        if left > timedelta(0) and told != party.whose:
            raise Unavailable(f"{party.host} lets the app {party.app} ask for no more files for now", left)


class Edge:
    """One app at one Graph, for all its mailboxes and drives. Nothing is asked before they ask.

    Threads may share it.
    """

    def __init__(self, login: AppLogin, *, drives: bool = False) -> None:
        """`drives`: it is for files. Mailboxes have budgets of their own, for which their sources wait."""
        self.login = login
        self.cloud = login.where
        self.tokens = Tokens(login)
        self.budget = Budget() if drives else None
        #: Whether answers had an id, as all of Graph's have: one without comes from something in between.
        self.identified = False

    def connection(self, whose: str, permission: str) -> "Connection":
        """For one mailbox or drive, in words for people: "the mailbox anna@example.org", and what opens it."""
        return Connection(self, Party(self.cloud.host, whose, self.login.app, permission))

    @cached_property
    def client(self) -> httpx.Client:
        """For Graph itself."""
        at_once = self.login.at_once
        return httpx.Client(
            verify=self.login.trusted(),
            trust_env=False,
            timeout=httpx.Timeout(TIMEOUT, pool=_QUEUE),
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            headers=_ALWAYS,
        )

    @cached_property
    def bare(self) -> urllib3.PoolManager:
        """For addresses that open a file by themselves: a token sent there would be given away.

        Bytes are all that comes from there, and httpx takes twice as long over them.
        """
        context = self.login.trusted()
        return urllib3.PoolManager(
            maxsize=self.login.at_once, block=True, ssl_context=context, timeout=urllib3.Timeout(TIMEOUT, TIMEOUT)
        )


class Connection:
    """One mailbox or drive. Every failure of its verbs is told as one of `connector.errors`."""

    def __init__(self, edge: Edge, party: Party) -> None:
        self.party = party
        self.base = f"{edge.cloud.graph}/v1.0"
        #: Steps of a batch that are asked for together: fewer, once Graph had no time for some of them.
        self.together = BATCH
        self._edge = edge

    def ask(
        self,
        method: str,
        where: str,
        body: JSON | None = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        prefer: Collection[str] = (),
    ) -> Reply:
        """One request. `where` is a path below the version, from `path`, or a link that Graph gave."""
        sent = dict(headers or {})
        if body is not None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        with self.told():
            response = self._sent(method, where, sent, prefer, content=content)
            try:
                incoming = _incoming(response)
                _refuse(incoming)
                return Reply(_json(_whole(incoming.chunks)), response.headers)
            finally:
                response.close()

    def one(self, where: str) -> JSON:
        """What this GET tells of one thing. Raises Unavailable where it has no id.

        Something else came in its place then, and must not pass for a thing that is gone.
        """
        told = self.ask("GET", where).body
        with self.told():
            if not told.get("id"):
                raise Garbled
        return told

    def pages(self, where: str, *, prefer: Collection[str] = ()) -> Iterator[JSON]:
        """The replies to this GET and all that follow it. Ids of links that lead elsewhere are not followed."""
        onward = Onward(where, f"{self.party.host} goes round in pages of {self.party.whose}")
        link: str | None = where
        while link:
            page = self.ask("GET", link, prefer=prefer).body
            self.listed(page)
            yield page
            if link := page.get("@odata.nextLink"):
                onward.to(link)

    def listed(self, page: JSON) -> list[JSON]:
        """What a page lists, its `value`. Raises Unavailable where it has no list, not even an empty one.

        Something else came in its place then, and must not pass for a page without anything: files are deleted where
        nothing is found. Whatever Graph lists has an id.
        """
        with self.told():
            told = page.get("value")
            if not (isinstance(told, list) and all(isinstance(each, dict) and each.get("id") for each in told)):
                raise Garbled
            return told

    def batch(self, steps: Sequence[str | Step], *, prefer: Collection[str] = ()) -> list[JSON | Exception]:
        """The answers to these steps, at most `BATCH`, in one request: its JSON, or the error that it tells.

        A step that is a path alone is a GET. Exchange Online was seen to have no time for some of these, each time that
        they were asked for together (microsoft-graph-docs: issue 2886). Then what came is kept, and the others are
        asked for again in smaller lots; but where Graph says how long to wait, only the next batch comes in such lots.
        """
        answers: dict[int, JSON | Exception] = {}
        left = list(range(len(steps)))
        while left:
            lot = left[: self.together]
            answers |= zip(lot, self._lot([steps[each] for each in lot], prefer), strict=True)
            gets = [each for each in lot if isinstance(steps[each], str)]
            # Not where Graph fails at one of them, whose class is derived from that: asked for again, it fails again.
            busy = {each: told for each in gets if type(told := answers[each]) is Unavailable}
            left = [*busy, *left[len(lot) :]]
            if busy and len(busy) < len(lot):
                self.together = max(1, len(lot) // 2)
            if len(busy) == len(lot) or any(told.retry_after for told in busy.values()):
                # What has not been asked for yet has to wait with these.
                answers |= dict.fromkeys(left[len(busy) :], busy[left[0]])
                break
        return [answers[each] for each in range(len(steps))]

    def _lot(self, steps: Sequence[str | Step], prefer: Collection[str]) -> list[JSON | Exception]:
        """The answers to these steps, in one request."""
        wanted = [step if isinstance(step, Step) else Step("GET", step) for step in steps]
        sent = {"Prefer": ", ".join((IMMUTABLE, *prefer))}
        asked = [_asked(str(number), step, sent) for number, step in enumerate(wanted)]
        told = self.ask("POST", "/$batch", {"requests": asked}).body
        with self.told():
            answers = _answers(told)
            if set(answers) != {each["id"] for each in asked}:
                raise Garbled
            return [self._part(answers[str(number)], step.party or self.party) for number, step in enumerate(wanted)]

    @contextmanager
    def stream(self, where: str, headers: Mapping[str, str] | None = None) -> Iterator[Incoming]:
        """The bytes at this path, also where Graph sends us on for them; or at an address that opens by itself.

        `headers` go with the request for bytes.
        """
        asked = {"Accept-Encoding": "identity", **(headers or {})}
        with ExitStack() as opened:
            with self.told():
                if where.startswith("/"):
                    response = self._sent("GET", where, asked, ())
                    opened.callback(response.close)
                    incoming = _incoming(response)
                    if response.is_redirect:
                        _whole(incoming.chunks)  # Left unread, it would end the connection, and a new one costs more.
                        where = response.headers.get("Location", "")
                    elif self._is_of_a_proxy(response):
                        # It would be kept as the file, and the file removed.
                        raise Garbled
                if not where.startswith("/"):
                    incoming = opened.enter_context(self._unsigned("GET", where, asked))
                _refuse(incoming)
            yield incoming

    def upload(self, url: str, content: Spool) -> Reply:
        """The bytes, in order, to an upload session at this address; the reply to the last part."""
        content.content.seek(0)
        reply = Reply({}, {})
        for start in range(0, content.size, PART):
            part = content.content.read(PART)
            span = f"bytes {start}-{start + len(part) - 1}/{content.size}"
            headers = {"Content-Range": span, "Content-Type": "application/octet-stream"}
            with self.told(), self._unsigned("PUT", url, headers, content=part) as incoming:
                _refuse(incoming)
                reply = Reply(_json(_whole(incoming.chunks)), incoming.headers)
        return reply

    def knows(self, link: str) -> bool:
        """Whether this is a link to the very Graph that is asked here."""
        return link.startswith(f"{self.base}/")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Translate what is raised within; nothing is asked where the budget of all drives is used up."""
        budget = self._edge.budget
        if budget:
            budget.require(self.party)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - `translate` hands back what it does not know
            # Without its origin: what httpx raises holds the request, with its token.
            told = translate(error, self.party)
            if budget and isinstance(told, Unavailable) and told.retry_after:
                budget.used_up(self.party, told.retry_after)
            raise told from None

    def _sent(
        self,
        method: str,
        where: str,
        headers: Mapping[str, str],
        prefer: Collection[str],
        *,
        content: bytes | None = None,
    ) -> httpx.Response:
        """The response, nothing of which has been read. Where Graph asks for another token, it gets one, once."""
        url = f"{self.base}{where}" if where.startswith("/") else where
        if not self.knows(url):
            raise Strayed(urlsplit(url).hostname or "another place")
        client = self._edge.client
        # By ours, too, a request is found: Graph gives it back.
        sent = {**headers, "client-request-id": str(uuid4()), "Prefer": ", ".join((IMMUTABLE, *prefer))}
        token = self._edge.tokens.token()
        for last in (False, True):
            sent["Authorization"] = f"Bearer {token}"
            response = client.send(client.build_request(method, url, content=content, headers=sent), stream=True)
            claims = None if last else _claims(response)
            if claims is None:
                break
            _whole(response.iter_bytes(CHUNK))
            token = self._edge.tokens.token(claims)
        self._edge.identified = self._edge.identified or "request-id" in response.headers
        return response

    def _is_of_a_proxy(self, response: httpx.Response) -> bool:
        """Whether these bytes are of something between us and Graph: a page, or whatever else has no id of Graph's."""
        page = response.headers.get("Content-Type", "").startswith("text/html")
        named = "request-id" in response.headers
        return response.is_success and not named and (page or self._edge.identified)

    @contextmanager
    def _unsigned(
        self, method: str, url: str, headers: Mapping[str, str], *, content: bytes | None = None
    ) -> Iterator[Incoming]:
        """The same at an address that opens by itself: without our token, and only where Microsoft keeps files."""
        if not self._edge.cloud.hands_out(url):
            raise Strayed(urlsplit(url).hostname or "another place")
        response = self._edge.bare.request(
            *(method, url),
            body=content,
            headers={**_ALWAYS, **headers},
            preload_content=False,
            redirect=False,
            retries=False,
            pool_timeout=_QUEUE,
        )
        try:
            yield Incoming(response.status, response.headers, response.stream(CHUNK))
        finally:
            response.close()

    def _part(self, answer: JSON, party: Party) -> JSON | Exception:
        status, body = answer["status"], answer.get("body") or Told()
        if status < HTTPStatus.BAD_REQUEST:
            if not isinstance(body, dict):
                raise Garbled
            return body
        headers = httpx.Headers(answer.get("headers") or {})
        failed = Answered(status, _code(body), retry_after(headers), request=request_in(headers))
        return translate(failed, party)


def path(*parts: str) -> str:
    """A path below the version, from ids and names as they are; what begins with `$` is Graph's own word."""
    return "".join(f"/{part if part.startswith('$') else quote(part, safe='')}" for part in parts)


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """How long we are asked to wait: the greater one, where there are two answers."""
    told = (_wait(headers.get("Retry-After", ""), headers), _wait(headers.get("RateLimit-Reset", ""), headers))
    return max((each for each in told if each is not None), default=None)


def _asked(number: str, step: Step, headers: Mapping[str, str]) -> JSON:
    """A step as Graph reads it. One with a body is refused without the type of that."""
    asked: JSON = {"id": number, "method": step.method, "url": step.where, "headers": headers}
    if step.body is None:
        return asked
    return {**asked, "headers": {**headers, "Content-Type": "application/json"}, "body": step.body}


def _answers(told: JSON) -> dict[str, JSON]:
    """The answers of a batch, by the numbers of what was asked."""
    try:
        return {str(each["id"]): {**each, "status": int(each["status"])} for each in told["responses"]}
    except (LookupError, TypeError):
        raise Garbled from None


def _wait(told: str, headers: Mapping[str, str]) -> timedelta | None:
    """Seconds, or a date, by the server's own clock."""
    try:
        seconds = float(told)
    except ValueError:
        until = _date(told)
        if until is None:
            return None
        seconds = (until - (_date(headers.get("Date", "")) or datetime.now(UTC))).total_seconds()
    return None if isnan(seconds) else timedelta(seconds=min(max(seconds, 0), _LONGEST_WAIT))


def _date(told: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(told)
    except ValueError:
        return None
    return date if date.tzinfo else None


def _claims(response: httpx.Response) -> str | None:
    """What a new token has to answer (continuous access evaluation); None where none is asked for."""
    if response.status_code != HTTPStatus.UNAUTHORIZED:
        return None
    found = _CLAIMS.search(response.headers.get("WWW-Authenticate", ""))
    try:
        return base64.b64decode(found[1], validate=True).decode() if found else None
    except (binascii.Error, ValueError):
        return None


def _incoming(response: httpx.Response) -> Incoming:
    if "," in response.headers.get("Content-Encoding", ""):
        # Packed once, a piece unfolds to its thousandfold at most; packed twice, to more than any memory holds.
        raise Garbled
    return Incoming(response.status_code, response.headers, response.iter_bytes(CHUNK))


def _refuse(incoming: Incoming) -> None:
    """Raise what an error tells."""
    if incoming.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    location = incoming.headers.get("Location", "")
    if incoming.status < HTTPStatus.BAD_REQUEST:
        raise Strayed(urlsplit(location).hostname or "another place")
    try:
        code = _code(_json(_whole(incoming.chunks)))
    except (ValueError, Garbled, Endless):
        code = ""
    headers = incoming.headers
    raise Answered(incoming.status, code, retry_after(headers), location, request_in(headers))


def _whole(chunks: Iterator[bytes]) -> bytes:
    """All of them. Raises Endless where they are more than any reply has: they may unfold from next to nothing."""
    whole = bytearray()
    for chunk in chunks:
        whole += chunk
        if len(whole) > _LONGEST_ANSWER:
            raise Endless
    return bytes(whole)


def _json(content: bytes) -> JSON:
    if not content:
        return Told()
    try:
        body = json.loads(content, object_hook=_sound)
    except RecursionError:
        raise Garbled from None
    if not isinstance(body, dict):
        raise Garbled
    return body


def _sound(told: JSON) -> JSON:
    """An object as it came, without what is null: for Graph, that is as if it was not there.

    Raises Garbled where a name that we know stands for something else than it should.
    """
    sound = Told((name, value) for name, value in told.items() if value is not None)
    for name in _KINDS.keys() & sound.keys():
        value, kind = sound[name], _KINDS[name]
        if not isinstance(value, kind):
            raise Garbled
        if isinstance(value, list) and not all(isinstance(each, str if name in _OF_TEXT else dict) for each in value):
            raise Garbled
    return sound


def _code(body: object) -> str:
    # In a batch, what is no JSON is told as text: the page of a gateway, say.
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and re.fullmatch(r"[\w.-]{1,80}", code) else ""
