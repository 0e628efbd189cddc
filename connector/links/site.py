"""The pages' answers: which link opens what, for whom, and what is written down about it.

Addresses: `/a/TOKEN` for whoever has the token, `/r/PUBLICATION` for people of the house; below either a number is the
page of a file, `NUMBER/NAME` its bytes, `all.zip` all of them. Nothing of an address reaches the store: paths come from
the book alone.
"""

import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, NoReturn
from urllib.parse import parse_qs

import anyio
from anyio import CapacityLimiter, to_thread
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from connector.errors import ConnectorError, Unavailable
from connector.links.book import Access, Book, Offered, Publication, Token
from connector.links.limits import Lanes, Pace, network
from connector.links.pages import Pages, Shown
from connector.links.people import Issuer, Visitor, behind_proxy
from connector.links.reader import Reader
from connector.links.refusals import Refusals
from connector.links.sending import Archive, Download, Pieces, Ready, attachment, before_the_end, checked, span
from connector.links.settings import LinkSettings, Releases, Tenant
from connector.links.tokens import hashed, opens, sealed
from connector.log import Event, log
from connector.model import Audience
from connector.rewrite.languages import Code

#: Every answer that there is nothing, or that a login is wanted, comes this many seconds after its question: what there
#: is takes no time of its own.
PAUSE = 0.04
#: Of a publication.
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
#: Of a token.
_HASH = re.compile(r"[0-9a-f]{64}")
_BELOW = re.compile(r"/?|/([1-9][0-9]{0,5})(/.*)?|/all\.zip")
_LARGEST_FORM = 8 * 1024
_FORM_SECONDS = 10
_MINUTE = 60
_QUARTER = 15 * _MINUTE
#: How long a browser need not be asked again for a password, and may go on with a download that was counted.
_UNLOCKED = 3600
_RESUMED = 24 * 3600
#: Threads that read one store at the same time: one that hangs holds up nobody else's. Slow readers hold none.
_READING = 24
#: Each password takes 16 MB while it is looked at.
_LOOKED_AT = threading.BoundedSemaphore(4)
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_RELEASED_DAYS = 7


class Gone(Exception):
    """There is nothing here for whoever asks; why stays unsaid."""


class LoginWanted(Exception):
    """Nobody is logged in; whether there is something here stays unsaid."""


@dataclass(frozen=True, slots=True)
class Below:
    """What an address wants of a publication."""

    kind: Literal["page", "file", "zip"]
    #: Of the file; 0: all of them.
    number: int


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, with all that is needed to answer it in a thread."""

    request: Request
    #: The token, or the id of a publication.
    name: str
    below: str
    form: Mapping[str, str]
    client: str
    visitor: Visitor | None

    @property
    def by_token(self) -> bool:
        """Whether it is for whoever has a token."""
        return self.request.url.path.startswith("/a/")

    @property
    def who(self) -> str:
        """Who came, as far as we know: the beginning of the hash of a token, or the name of a login."""
        if self.by_token:
            return hashed(self.name)[:16]
        return self.visitor.name if self.visitor else ""

    @property
    def base(self) -> str:
        """The address of the page of the whole publication."""
        return f"/{self.request.url.path.split('/')[1]}/{self.name}"

    @property
    def wanted(self) -> Below:
        """Raises Gone where the address is none of ours."""
        found = _BELOW.fullmatch(self.below)
        if found is None:
            raise Gone
        if self.below == "/all.zip":
            return Below("zip", 0)
        return Below("file" if found[2] and found[2] != "/" else "page", int(found[1] or 0))


@dataclass(frozen=True, slots=True)
class _Opening:
    """A visit to something that there is."""

    visit: Visit
    publication: Publication
    #: What opens it without a login; None where a login does.
    token: Token | None


class Site:
    """All that the pages know and hold while they run."""

    def __init__(self, settings: LinkSettings, book: Book, refusals: Refusals, clock: Callable[[], datetime]) -> None:
        """Secrets are read now, stores are asked later. Raises ConfigError."""
        self._settings = settings
        self._book = book
        self._refusals = refusals
        self._clock = clock
        self._house = Pages(settings.house)
        self._pages = {name: Pages(each.look) if each.look else self._house for name, each in settings.tenants.items()}
        self._readers = {name: Reader(each.store, name) for name, each in settings.tenants.items()}
        self._issuer = Issuer(settings.oidc, settings.url) if settings.oidc else None
        limits = settings.limits
        self._of_clients = Pace(limits.requests_of_a_client, _MINUTE)
        self._of_links = Pace(limits.requests_of_a_link, _MINUTE)
        self._wrong = Pace(limits.passwords, _QUARTER)
        # From many addresses at once, a link gets a few times as many.
        self._wrong_of_all = Pace(10 * limits.passwords, _QUARTER)
        self.lanes = Lanes(limits.downloads_of_a_client, limits.downloads)
        self._threads = {name: CapacityLimiter(_READING) for name in settings.tenants}
        # Known to this process alone: whatever it signed ends with it.
        self.session_key = secrets.token_hex(32)
        self._key = secrets.token_bytes(32)
        #: What an owner may do, by the last word of the address of its form.
        self._owners = {"release": self._release, "end": self._end, "extend": self._extend}
        self._looks = {each.id: each for each in (self._house, *self._pages.values())}

    # --- what routes lead to --------------------------------------------------------------------------------------

    async def by_token(self, request: Request) -> Response:
        """`/a/TOKEN...`."""
        return await self._answered(request, self._by_token)

    async def by_id(self, request: Request) -> Response:
        """`/r/PUBLICATION...`."""
        return await self._answered(request, self._by_id)

    async def back(self, request: Request) -> Response:
        """`/login/back`: from the issuer."""
        if self._issuer is None:
            return self._house.login(self._language(request))
        try:
            back_to = await self._issuer.welcome(request)
        except Unavailable as error:
            return self._no_login(request, error)
        if back_to:
            return RedirectResponse(back_to, 303)
        return self._house.login(self._language(request), self._issuer.wanted(request))

    async def nothing(self, request: Request) -> Response:
        """Everything else."""
        return await self._answered(request, _nothing)

    async def bug(self, request: Request, _error: Exception) -> Response:
        """What nobody has thought of; the server logs it."""
        return self._house.broken(self._language(request))

    async def style(self, request: Request) -> Response:
        """`/look/ID.css`."""
        pages = self._looks.get(request.path_params["look"])
        return pages.style if pages else await self.nothing(request)

    async def logo(self, request: Request) -> Response:
        """`/look/ID.logo`."""
        pages = self._looks.get(request.path_params["look"])
        return (pages and pages.logo) or await self.nothing(request)

    @staticmethod
    async def robots(_request: Request) -> Response:
        """`/robots.txt`."""
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    async def _answered(self, request: Request, answer: Callable[[Visit], Response]) -> Response:
        began = anyio.current_time()
        lang = self._language(request)
        address = request.client.host if request.client else ""
        name = request.path_params.get("name", "")
        if not self._of_clients.count(network(address, 32, 64)) or (name and not self._of_links.count(hashed(name))):
            return self._house.busy(lang)
        try:
            form = await _form(request)
            visitor = self._visitor(request)
            below = request.path_params.get("below", "")
            return await to_thread.run_sync(answer, Visit(request, name, below, form, address, visitor))
        except Gone:
            await anyio.sleep_until(began + PAUSE)
            return self._house.gone(lang)
        except LoginWanted:
            pass  # Not in here: it would pass for the cause of what the issuer does.
        except Unavailable as error:
            log.warning(Event.LINK_BROKEN_OFF, reason=str(error))
            return self._house.busy(lang, 503)
        except (ClientDisconnect, TimeoutError):
            return self._house.busy(lang, 408)
        await anyio.sleep_until(began + PAUSE)
        return await self._login(request)

    async def _login(self, request: Request) -> Response:
        if self._issuer is None:
            return self._house.login(self._language(request))
        try:
            return await self._issuer.ask(request, request.url.path)
        except Unavailable as error:
            return self._no_login(request, error)

    def _no_login(self, request: Request, error: Unavailable) -> Response:
        log.warning(Event.LINK_NO_LOGIN, reason=str(error))
        return self._house.busy(self._language(request), 503)

    def _language(self, request: Request, pages: Pages | None = None) -> Code:
        return (pages or self._house).language(request.headers.get("accept-language", ""))

    def _visitor(self, request: Request) -> Visitor | None:
        found = behind_proxy(request, self._settings.proxy)
        return found or (self._issuer.known(request) if self._issuer else None)

    # --- links that anyone may open -------------------------------------------------------------------------------

    def _by_token(self, visit: Visit) -> Response:
        wanted = visit.wanted
        now = self._clock()
        token = self._book.token(hashed(visit.name))
        # Asked for whether there is such a token or not.
        publication = self._book.publication(token.publication if token else "")
        if token is None or publication is None:
            self._refuse(visit)
        opening = _Opening(visit, publication, token)
        if not (publication.open(now) and token.open(now)):
            return self._ended(opening)
        tenant = self._tenant(opening)
        pages = self._pages[publication.tenant]
        if token.password and not self._unlocked(visit, token):
            return self._password(opening, pages)
        if visit.request.method == "POST":
            return RedirectResponse(_page(visit, wanted), 303)
        return self._opened(opening, wanted, pages, tenant)

    def _password(self, opening: _Opening, pages: Pages) -> Response:
        visit, token = opening.visit, opening.token
        assert token is not None
        lang = self._language(visit.request, pages)
        if visit.request.method != "POST":
            return pages.password(lang)
        keys = (f"{token.hash} {network(visit.client, 32, 64)}", token.hash)
        with _LOOKED_AT:
            # Asked in here: a thousand guesses that come at the same time would all have come in time.
            may = self._wrong.allows(keys[0]) and self._wrong_of_all.allows(keys[1])
            right = may and opens(token.password, visit.form.get("password", ""))
            if may and not right:
                self._wrong.count(keys[0])
                self._wrong_of_all.count(keys[1])
        if not may:
            self._note(opening, 0, "password", "busy")
            return pages.password(lang, problem="lock_wait", status=429)
        if not right:
            self._note(opening, 0, "password", "wrong")
            return pages.password(lang, problem="lock_wrong", status=403)
        self._wrong.forget(keys[0])
        self._note(opening, 0, "password", "opened")
        answer = RedirectResponse(_page(visit, visit.wanted), 303)
        self._keep(answer, visit, f"p{token.hash[:16]}", self._pass(token), _UNLOCKED)
        return answer

    def _pass(self, token: Token) -> str:
        # Another password makes another pass.
        return self._signer("password").dumps([token.hash, hashed(token.password)])

    def _unlocked(self, visit: Visit, token: Token) -> bool:
        shown = visit.request.cookies.get(f"p{token.hash[:16]}", "")
        return bool(self._says(shown, "password", _UNLOCKED) == [token.hash, hashed(token.password)])

    # --- links for people of the house ----------------------------------------------------------------------------

    def _by_id(self, visit: Visit) -> Response:
        below = visit.below
        doing = below[1:] if below[1:] in self._owners else ""
        wanted = Below("page", 0) if doing else visit.wanted
        # A name that is none: not every database takes what an address may hold.
        publication = self._book.publication(visit.name if _ID.fullmatch(visit.name) else "")
        open_ = publication is not None and publication.open(self._clock())
        if publication and open_ and (target := _target(publication, wanted)):
            return RedirectResponse(target, 303)
        if visit.visitor is None:
            raise LoginWanted
        if publication is None:
            self._refuse(visit)
        opening = _Opening(visit, publication, None)
        owner = visit.visitor.among(publication.readers)
        if not open_ and not (doing == "extend" and owner and self._is_over(publication)):
            return self._ended(opening)
        if not (owner or publication.audience is Audience.STAFF):
            self._refuse(opening.visit, opening.publication.id)
        tenant = self._tenant(opening)
        pages = self._pages[publication.tenant]
        if visit.request.method == "POST":
            if not (owner and tenant.releases and doing and self._meant(visit, publication)):
                self._refuse(opening.visit, opening.publication.id)
            return self._owners[doing](opening, pages, tenant)
        if doing:
            return RedirectResponse(visit.base, 303)
        return self._opened(opening, wanted, pages, tenant, owner=owner)

    def _release(self, opening: _Opening, pages: Pages, tenant: Tenant) -> Response:
        visit, releases = opening.visit, tenant.releases
        assert visit.visitor is not None
        assert releases is not None
        days = _days(visit, releases.longest)
        if not days:
            return RedirectResponse(visit.base, 303)
        asked = releases.locked == "always" or visit.form.get("with") == "password"
        password = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4)) if asked else ""
        made = secrets.token_urlsafe(32)
        until = self._clock() + timedelta(days=days)
        if opening.publication.expires:
            until = min(until, opening.publication.expires)
        self._note(opening, 0, "release", "opened")
        self._book.admit(
            Token(
                hash=hashed(made),
                publication=opening.publication.id,
                password=sealed(password) if password else "",
                expires=until,
                released_by=visit.visitor.name,
            )
        )
        lang = self._language(visit.request, pages)
        return pages.released(lang, f"{self._settings.url}/a/{made}", password, until, visit.base)

    def _end(self, opening: _Opening, _pages: Pages, _tenant: Tenant) -> Response:
        released = opening.visit.form.get("hash", "")
        if not _HASH.fullmatch(released):  # Not every database takes what a form may hold.
            return RedirectResponse(opening.visit.base, 303)
        self._note(opening, 0, "end", "opened")
        self._book.take_back(opening.publication.id, released, self._clock())
        return RedirectResponse(opening.visit.base, 303)

    def _extend(self, opening: _Opening, _pages: Pages, tenant: Tenant) -> Response:
        """Let what messages show last so many days from now, also where its time is over; never shorter."""
        publication, releases = opening.publication, tenant.releases
        assert releases is not None
        days = _days(opening.visit, releases.longest)
        until = self._clock() + timedelta(days=days)
        if days and publication.expires and until > publication.expires:
            # First: by it the message is told, and it is known who did it.
            self._note(opening, 0, "extend", "opened")
            self._book.extend(publication.id, until, reopen=False)
        return RedirectResponse(opening.visit.base, 303)

    def _proof(self, visit: Visit, publication: Publication) -> str:
        assert visit.visitor is not None
        return self._signer("release").dumps([visit.visitor.name, publication.id])

    def _meant(self, visit: Visit, publication: Publication) -> bool:
        """Whether the form comes from our page: no other site can read what only that shows."""
        assert visit.visitor is not None
        proof = self._says(visit.form.get("proof", ""), "release", _UNLOCKED)
        site = visit.request.headers.get("sec-fetch-site", "same-origin")
        return proof == [visit.visitor.name, publication.id] and site == "same-origin"

    # --- both -----------------------------------------------------------------------------------------------------

    def _opened(
        self, opening: _Opening, wanted: Below, pages: Pages, tenant: Tenant, *, owner: bool = False
    ) -> Response:
        publication = opening.publication
        files = [each for each in publication.files if not each.target]
        if wanted.number:
            files = [each for each in files if each.number == wanted.number]
        if not files:
            self._refuse(opening.visit, opening.publication.id)
        if wanted.kind == "page":
            return self._page(opening, wanted, pages, tenant, owner=owner)
        if opening.visit.request.method == "HEAD":
            archive = Archive(tuple(files), self._readers[publication.tenant].open)
            headers = _headers(files[0]) if wanted.kind == "file" else _archive_headers(archive, publication)
            return Response(headers=headers)
        lang = self._language(opening.visit.request, pages)
        prepare = partial(self._prepare, opening, tuple(files), wanted, pages, lang)
        return Download(
            prepare,
            lanes=self.lanes,
            client=network(opening.visit.client, 32, 64),
            full=partial(pages.busy, lang, 503),
            threads=self._threads[publication.tenant],
            patience=self._settings.limits.write_timeout,
        )

    def _page(self, opening: _Opening, wanted: Below, pages: Pages, tenant: Tenant, *, owner: bool) -> Response:
        visit, publication, token = opening.visit, opening.publication, opening.token
        release = None
        if owner and tenant.releases:
            release = {
                **self._form(visit, publication, tenant.releases),
                "extend": publication.expires is not None,
                "choice": tenant.releases.locked != "always",
                "standing": self._book.released(publication.id, self._clock()),
            }
        ends = [each for each in (publication.expires, token and token.expires) if each]
        shown = Shown(
            publication,
            visit.base,
            self._left(opening),
            min(ends, default=None),
            wanted.number or None,
            release,
        )
        if visit.request.method == "GET":
            self._note(opening, wanted.number, "page", "opened")
        return pages.files(shown, self._language(visit.request, pages))

    def _form(self, visit: Visit, publication: Publication, releases: Releases) -> dict[str, Any]:
        """What every form of an owner's has in it."""
        return {
            "url": f"/r/{publication.id}",
            "proof": self._proof(visit, publication),
            "longest": releases.longest.days,
            "usual": min(_RELEASED_DAYS, releases.longest.days),
        }

    def _left(self, opening: _Opening) -> dict[int, int] | None:
        token = opening.token
        if token is None or token.downloads is None:
            return None
        fetched = self._book.fetched(token.hash)
        return {
            each.number: max(token.downloads - fetched.get(each.number, 0), 0) for each in opening.publication.files
        }

    def _prepare(
        self, opening: _Opening, files: tuple[Offered, ...], wanted: Below, pages: Pages, lang: Code
    ) -> Ready | Response:
        """What a download sends, from a store that has answered; counted and written down by then."""
        try:
            if wanted.kind == "zip":
                return self._all(opening, files, pages, lang)
            return self._one(opening, files[0], pages, lang)
        except ConnectorError as error:
            log.warning(Event.LINK_BROKEN_OFF, publication=opening.publication.id, reason=str(error))
            self._note(opening, wanted.number, wanted.kind, "broken")
            return pages.broken(lang)

    def _one(self, opening: _Opening, file: Offered, pages: Pages, lang: Code) -> Ready | Response:
        headers = _headers(file)
        try:
            part = _part(opening.visit.request, file, headers["ETag"])
        except ValueError:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{file.size}"})
        proved = (file.number, file.sha256) in self._book.proved(opening.publication.id)
        reader = self._readers[opening.publication.tenant]
        if part and not proved:
            # Nobody can tell from a part whether the whole is right.
            proved = reader.prove(file)
            self._proved(opening, file, right=proved)
            if not proved:
                return pages.broken(lang)
        pieces: Pieces = reader.open(file, *(part or ()))
        with _closed_unless(pieces) as keep:
            if not self._counted(opening, (file,), part, headers):
                return pages.limit(lang)
            self._note(opening, file.number, "file", "opened")
            keep()
        if part:
            start, end = part
            headers |= {"Content-Length": str(end - start), "Content-Range": f"bytes {start}-{end - 1}/{file.size}"}
            return Ready(206, headers, pieces)
        if not proved:
            pieces = checked(pieces, file, lambda right: self._proved(opening, file, right=right))
        return Ready(200, headers, pieces)

    def _all(self, opening: _Opening, files: tuple[Offered, ...], pages: Pages, lang: Code) -> Ready | Response:
        publication = opening.publication
        known = self._book.proved(publication.id)
        right: list[Offered] = []

        def read(file: Offered) -> Pieces:
            pieces = self._readers[publication.tenant].open(file)
            if (file.number, file.sha256) in known:
                return pieces
            return checked(pieces, file, lambda so: right.append(file) if so else self._corrupt(opening, file))

        # Nothing is counted before the store has answered.
        first = read(files[0])
        archive = Archive(files, lambda file: first if file is files[0] else read(file))
        headers = _archive_headers(archive, publication)
        if not self._counted(opening, files, None, headers):
            return pages.limit(lang)
        self._note(opening, 0, "zip", "opened")

        return Ready(200, headers, before_the_end(archive.pieces(), lambda: self._prove(opening, right)))

    def _counted(
        self, opening: _Opening, files: tuple[Offered, ...], part: tuple[int, int] | None, headers: dict[str, str]
    ) -> bool:
        """Count a download where there is a limit: once for all parts of a file that one browser fetches."""
        token, visit = opening.token, opening.visit
        if token is None or token.downloads is None:
            return True
        numbers = [each.number for each in files]
        name, said = f"d{token.hash[:16]}", [token.hash, numbers]
        # A part from the beginning is a new download; going on with one is not.
        if part and part[0] and self._says(visit.request.cookies.get(name, ""), "download", _RESUMED) == said:
            return True
        if not self._book.count(token.hash, numbers, token.downloads):
            self._note(opening, numbers[0] if len(numbers) == 1 else 0, "file", "limit")
            return False
        kept = Response()
        self._keep(kept, visit, name, self._signer("download").dumps(said), _RESUMED)
        headers["Set-Cookie"] = kept.headers["set-cookie"]
        return True

    def _proved(self, opening: _Opening, file: Offered, *, right: bool) -> None:
        if right:
            self._prove(opening, [file])
        else:
            self._corrupt(opening, file)

    def _prove(self, opening: _Opening, files: list[Offered]) -> None:
        try:
            self._book.prove(opening.publication.id, files, self._clock())
        except Unavailable as error:
            # They are right, whoever knows it: they are proved once more the next time.
            log.warning(Event.LINK_UNPROVED, publication=opening.publication.id, reason=str(error))

    def _corrupt(self, opening: _Opening, file: Offered) -> None:
        log.error(Event.LINK_CORRUPT, publication=opening.publication.id, number=file.number)
        self._book.disprove(opening.publication.id, [file])
        self._note(opening, file.number, "file", "corrupt")

    def _tenant(self, opening: _Opening) -> Tenant:
        tenant = self._settings.tenants.get(opening.publication.tenant)
        if tenant is None:
            log.error(Event.LINK_OF_NOBODY, tenant=opening.publication.tenant)
            self._refuse(opening.visit, opening.publication.id)
        return tenant

    def _ended(self, opening: _Opening) -> Response:
        """There is nothing any more; but whoever it belongs to reads how its time can be extended."""
        visitor, publication = opening.visit.visitor, opening.publication
        if not (self._is_over(publication) and visitor and visitor.among(publication.readers)):
            self._refuse(opening.visit, opening.publication.id)
        self._note(opening, 0, "page", "ended")
        assert publication.expires is not None
        pages = self._pages.get(publication.tenant, self._house)
        tenant = self._settings.tenants.get(publication.tenant)
        releases = tenant.releases if tenant else None
        form = self._form(opening.visit, publication, releases) if releases else None
        return pages.ended(self._language(opening.visit.request, pages), publication, publication.expires, form)

    def _is_over(self, publication: Publication) -> bool:
        """Whether it has ended by its time, and nobody took it back."""
        return publication.ended is None and publication.expires is not None and not publication.open(self._clock())

    def _refuse(self, visit: Visit, publication: str = "") -> NoReturn:
        """The same work whether there is something (`publication`) or not: none of it is done by the request."""
        self._refusals.add(self._access(visit, publication, 0, "page", "refused"))
        raise Gone

    def _note(self, opening: _Opening, number: int, what: str, result: str) -> None:
        """Raises Unavailable where somebody is to get something, and it cannot be written down."""
        access = self._access(opening.visit, opening.publication.id, number, what, result)
        if result == "opened":
            self._book.note(access)
        else:
            # Nobody gets anything: where the book is out of reach, this waits, and the answer does not.
            self._refusals.add(access)

    def _access(self, visit: Visit, publication: str, number: int, what: str, result: str) -> Access:
        return Access(
            at=self._clock(),
            publication=publication,
            number=number,
            client=network(visit.client, 24, 48),
            who=visit.who,
            what=what,
            result=result,
        )

    def _keep(self, answer: Response, visit: Visit, name: str, value: str, seconds: int) -> None:
        secure = self._settings.url.startswith("https://")
        answer.set_cookie(name, value, max_age=seconds, path=visit.base, secure=secure, httponly=True, samesite="lax")

    def _signer(self, salt: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._key, salt=salt)

    def _says(self, value: str, salt: str, seconds: int) -> Any:
        try:
            return self._signer(salt).loads(value, max_age=seconds)
        except BadData:
            return None


def _nothing(_visit: Visit) -> NoReturn:
    raise Gone


async def _form(request: Request) -> Mapping[str, str]:
    """What a form says. Raises TimeoutError where it does not arrive, and Gone where it is none of ours."""
    if request.method != "POST":
        return {}
    body = b""
    with anyio.fail_after(_FORM_SECONDS):
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST_FORM:
                raise Gone
    try:
        fields = parse_qs(body.decode(errors="replace"), max_num_fields=10, errors="replace")
    except ValueError:  # More of them than any form of ours has.
        raise Gone from None
    return {name: values[0] for name, values in fields.items()}


def _days(visit: Visit, longest: timedelta) -> int:
    """How many days a form asks for; 0 where that is no number, or too many."""
    said = visit.form.get("days", "")
    days = int(said) if said.isascii() and said.isdigit() and len(said) < 6 else 0  # noqa: PLR2004 - of digits
    return days if days <= longest.days else 0


def _page(visit: Visit, wanted: Below) -> str:
    return f"{visit.base}/{wanted.number}" if wanted.number else visit.base


def _target(publication: Publication, wanted: Below) -> str:
    """The address at which the store itself opens what is wanted; "" where the pages do."""
    targets = [each.target for each in publication.files if wanted.number in {0, each.number}]
    return targets[0] if targets and wanted.kind == "page" else ""


def _headers(file: Offered) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": attachment(file.name),
        "Content-Length": str(file.size),
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.sha256[:32]}"',
    }


def _archive_headers(archive: Archive, publication: Publication) -> dict[str, str]:
    day = f"{publication.received:%Y-%m-%d}" if publication.received else "files"
    return {
        "Content-Type": "application/zip",
        "Content-Disposition": attachment(f"{day}.zip"),
        "Content-Length": str(archive.size),
        "Accept-Ranges": "none",
    }


def _part(request: Request, file: Offered, etag: str) -> tuple[int, int] | None:
    """The part of a file that is asked for; None: all of it. Raises ValueError where it lies outside."""
    wanted = request.headers.get("range", "")
    if not wanted or request.headers.get("if-range", etag) != etag:
        return None
    found = span(wanted, file.size)
    return None if found == (0, file.size) else found


@contextmanager
def _closed_unless(pieces: Pieces) -> Iterator[Callable[[], None]]:
    """Give the connection to the store back, unless the pieces are kept to be sent."""
    kept: list[bool] = []
    try:
        yield lambda: kept.append(True)
    finally:
        if not kept:
            pieces.close()
