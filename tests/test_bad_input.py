"""What users, attackers and broken machines do to the pipeline: each ends in a sentence, and nothing is lost."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from connector.simulator import Exchange
from connector.simulator.content import Content
from tests.lying_store import (
    Lie,
    LyingStore,
    Reply,
    Request,
    answers,
    echoes_the_checksum,
    flips_a_byte,
    gives_back_less,
    honest,
    keeps_half_and_answers,
    login_page,
    lying_store,
    moves_half,
    moves_nothing,
    redirect_to_login,
    stores_nothing,
    truncates,
)
from tests.pipeline import ANNA, EVERYTHING, Pipeline, Seen, letter, notice_in
from tests.servers import DavServer, free_port

SETTLING = EVERYTHING.replace("settle: 0", "settle: 2h")
PLAN = bytes(range(256)) * 40
SUBJECT, BODY, NAME = "canary-subject", "canary-body", "canary-name.pdf"


@pytest.fixture
def pipeline(tmp_path: Path, exchange: Exchange, wsgidav: DavServer) -> Pipeline:
    """Anna's mailbox, a store, and a configuration that is right. Its mail has words that no log may have."""
    exchange.add_mailbox(ANNA)
    return Pipeline(tmp_path, exchange, wsgidav, hushed=[SUBJECT, BODY], named=[NAME])


def delivered(pipeline: Pipeline) -> tuple[str, Seen]:
    """A message that is to be redirected, and what its owner sees of it."""
    item = pipeline.deliver(letter({NAME: PLAN}, f"<p>{BODY}</p>", subject=SUBJECT))
    return item, pipeline.see(item)


def redirected(pipeline: Pipeline, item: str, before: Seen) -> str:
    """The notice, after its links were followed: each file is behind its own, and no longer in the message."""
    after = pipeline.see(item)
    notice = notice_in(before, after)
    links = re.findall(rf'{re.escape(pipeline.url)}[^"<>\s]*', notice)
    assert [pipeline.download(link) for link in links] == list(before.contents)
    assert (after.files, after.rest) == ((), before.rest)
    return notice


# --- configuration ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "place", "words"),
    [
        ("rules: [{name: all", "19:19", "is not valid YAML"),
        (
            "rules: [{name: all, action: redirect, colour: blue}]",
            "19:39 rules.0.colour",
            "is not a field; allowed: action",
        ),
        ("rules: [{name: all, action: delete}]", "19:29 rules.0.action", "must be one of"),
    ],
    ids=["broken YAML", "unknown field", "unknown value"],
)
def test_a_wrong_configuration_is_told_by_its_place(pipeline: Pipeline, wrong: str, place: str, words: str) -> None:
    """Exit code 2, one line with file, line, column and field; no server was asked anything."""
    pipeline.configure(wrong)
    ended = pipeline.run("once", code=2)
    (sentence,) = ended.told.splitlines()
    assert sentence.startswith(f"{pipeline.folder}/tenants/acme.yaml:{place}")
    assert words in sentence
    assert ended.answer == ""
    assert pipeline.exchange.seen == []


def test_a_password_in_the_configuration_is_refused_and_not_repeated(pipeline: Pipeline) -> None:
    """Exit code 2, and the password stands neither in the sentence nor in a log."""
    tenant = pipeline.folder / "tenants" / "acme.yaml"
    tenant.write_text(re.sub(r"password: \{.*?\}", "password: hunter2", tenant.read_text()))
    pipeline.hushed.append("hunter2")
    told = pipeline.run("check", code=2).told.splitlines()
    assert [line.count("a secret is never written here") for line in told] == [1, 1]


# --- what stands in the way -----------------------------------------------------------------------------------------

Trouble = Callable[[Pipeline], AbstractContextManager[object]]


@contextmanager
def wrong_password(pipeline: Pipeline, secret: str) -> Iterator[None]:
    """Somebody changed that of Exchange, or of the store."""
    right = (pipeline.folder / secret).read_text()
    pipeline.secret(secret, "hunter2-wrong")
    yield
    pipeline.secret(secret, right)


@contextmanager
def no_impersonation(pipeline: Pipeline) -> Iterator[None]:
    """An account that is right, and has no right."""
    other = pipeline.exchange.add_mailbox("ben@example.org")
    right = (pipeline.folder / "ews-password").read_text()
    pipeline.secret("ews-password", other["password"])
    pipeline.configure(user=other["user"])
    yield
    pipeline.secret("ews-password", right)


@contextmanager
def no_collection(pipeline: Pipeline) -> Iterator[None]:
    """A wrong path, or a disk that is not mounted."""
    shutil.rmtree(pipeline.root)
    yield
    pipeline.root.mkdir()


@contextmanager
def no_exchange(pipeline: Pipeline) -> Iterator[None]:
    """Nobody listens there."""
    pipeline.configure(ews=f"http://127.0.0.1:{free_port()}/EWS/Exchange.asmx")
    yield


@contextmanager
def no_store(pipeline: Pipeline) -> Iterator[None]:
    """Nobody listens there."""
    pipeline.configure(store=f"http://127.0.0.1:{free_port()}/")
    yield


def in_exchanges_place(lie: Lie) -> Trouble:
    """Something else answers where Exchange should."""

    @contextmanager
    def trouble(pipeline: Pipeline) -> Iterator[None]:
        with lying_store(0, lie) as impostor:
            pipeline.configure(ews=impostor.url("/EWS/Exchange.asmx"))
            yield

    return trouble


def before_the_store(lie: Lie) -> Trouble:
    """The store, or what is in front of it, does this."""

    @contextmanager
    def trouble(pipeline: Pipeline) -> Iterator[None]:
        with lying_store(pipeline.store.port, lie) as proxy:
            pipeline.configure(store=proxy.url(f"/{pipeline.folder.name}/"))
            yield

    return trouble


IN_THE_WAY: dict[str, tuple[Trouble, int, str]] = {
    "password of Exchange": (
        partial(wrong_password, secret="ews-password"),
        4,
        "refuses the credentials of svc-connector@example.org",
    ),
    "password of the store": (
        partial(wrong_password, secret="store-password"),
        4,
        "does not accept the user name and password",
    ),
    "no impersonation": (no_impersonation, 4, "give it the management role ApplicationImpersonation"),
    "no collection": (no_collection, 3, "does not exist: create it on the server"),
    "Exchange is down": (no_exchange, 3, "Connection refused"),
    "store is down": (no_store, 3, "cannot be reached"),
    "Exchange is a web site": (in_exchanges_place(login_page()), 3, "answers with a web page"),
    "Exchange is a redirect": (in_exchanges_place(redirect_to_login()), 4, "sends EWS elsewhere"),
    "Exchange is broken": (in_exchanges_place(answers(502)), 3, "HTTP status 502"),
    "store is a web site": (before_the_store(login_page()), 4, "a login page or a web site"),
    "store is a redirect": (before_the_store(redirect_to_login()), 4, "a redirect to"),
    "store is full": (before_the_store(keeps_half_and_answers(507)), 3, "the store is full"),
    "store is busy": (before_the_store(answers(503, "PUT", headers={"Retry-After": "5"})), 3, "busy, down or full"),
    "store is read-only": (before_the_store(answers(403, "PUT", "MKCOL")), 4, "no right to do that"),
}


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_what_stands_in_the_way_is_told_and_ends_by_itself(pipeline: Pipeline, name: str) -> None:
    """The exit code and one sentence for the operator; the message is untouched; an hour after it ended all is done."""
    trouble, code, sentence = IN_THE_WAY[name]
    item, before = delivered(pipeline)
    with trouble(pipeline):
        pipeline.run("check", code=code)
        (paused,) = pipeline.run("once", "--json", code=code).json["paused"]
        assert sentence in paused["reason"]
        assert pipeline.see(item) == before
        assert pipeline.stored() == []
    pipeline.configure()
    pipeline.run("once", code=0, hours=1)
    redirected(pipeline, item, before)


@pytest.mark.parametrize("secret", ["ews-password", "store-password"])
def test_a_refused_password_is_not_tried_again_by_the_next_command(pipeline: Pipeline, secret: str) -> None:
    """A loop of restarts must not lock the account: the server is not asked again before half an hour is over."""
    exchange = int(pipeline.exchange.ews.split(":")[2].split("/")[0])
    with lying_store(exchange) as ews, lying_store(pipeline.store.port) as store:
        pipeline.configure(ews=ews.url("/EWS/Exchange.asmx"), store=store.url(f"/{pipeline.folder.name}/"))
        pipeline.secret(secret, "hunter2-wrong")
        pipeline.run("once", code=4)
        refusing = ews if secret == "ews-password" else store
        asked = len(refusing.requests)
        pipeline.run("once", code=4)
        assert len(refusing.requests) == asked > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_is_full_keeps_nothing_torn(pipeline: Pipeline) -> None:
    """The store says so, and the message waits untouched until there is room again."""
    item = pipeline.deliver(letter({NAME: PLAN * 300}))
    before = pipeline.see(item)
    with disk(pipeline.root, "1m"):
        (paused,) = pipeline.run("once", "--json", code=3).json["paused"]
        assert "full" in paused["reason"]
        assert pipeline.see(item) == before
        assert pipeline.stored() == []
        subprocess.run(["mount", "-o", "remount,size=64m", pipeline.root], check=True)
        pipeline.run("once", code=0, hours=1)
        redirected(pipeline, item, before)


@contextmanager
def disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of its own below a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        # Lazily: the server may still have a file open.
        subprocess.run(["umount", "--lazy", folder], check=True)


# --- stores that lie ------------------------------------------------------------------------------------------------


def once_files_come(lie: Lie) -> Lie:
    """Lies only about the files of messages: all that is tried at the start is found in order."""

    def later(request: Request, ask: Callable[[Request], Reply]) -> Reply:
        return (lie if "/acme/" in request.path else honest)(request, ask)

    return later


@contextmanager
def lied_to(pipeline: Pipeline, lie: Lie) -> Iterator[LyingStore]:
    """The store lies from now on."""
    with lying_store(pipeline.store.port, lie) as store:
        pipeline.configure(store=store.url(f"/{pipeline.folder.name}/"))
        yield store


LIES: dict[str, Lie] = {
    "flips a byte": flips_a_byte,
    "truncates": truncates,
    "echoes the checksum": echoes_the_checksum,
    "stores nothing": stores_nothing,
    "moves nothing": moves_nothing,
    "moves half": moves_half,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_store_that_lies_ends_held(pipeline: Pipeline, lie: str) -> None:
    """With the reason; the attachment is in its place, the message shows nothing, and a human can let it go on."""
    item, before = delivered(pipeline)
    with lied_to(pipeline, once_files_come(LIES[lie])) as store:
        pipeline.run("once", code=1)
        (held,) = pipeline.run("held", "--json", code=1).json
        assert re.search("gives? (it )?back|nothing in its place|something else in the place", held["reason"])
        assert pipeline.see(item) == before
        store.lie = honest
        for torn in pipeline.stored():
            # Nothing ever replaces what lies at the place of a file: whoever releases has looked at it.
            torn.unlink()
        pipeline.run("release", held["redirect"], code=0)
        pipeline.run("once", code=0)
    redirected(pipeline, item, before)


@pytest.mark.parametrize("lie", LIES)
def test_a_store_that_lies_from_the_first_byte_gets_no_file(pipeline: Pipeline, lie: str) -> None:
    """What is tried at the start is garbled already: the store is refused, and nothing is touched."""
    item, before = delivered(pipeline)
    with lied_to(pipeline, LIES[lie]):
        pipeline.run("once", code=4)
    assert pipeline.see(item) == before


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (login_page("PUT"), 4),
        (login_page("GET"), 1),
        (redirect_to_login("PUT", "GET", "MOVE"), 4),
        (gives_back_less, 3),
    ],
    ids=["login page for PUT", "login page for GET", "redirect to a login", "breaks downloads off"],
)
def test_a_store_that_answers_with_a_login_page_gets_no_file(pipeline: Pipeline, lie: Lie, code: int) -> None:
    """The page is never taken for the file, nor a redirect for success."""
    item, before = delivered(pipeline)
    with lied_to(pipeline, once_files_come(lie)) as store:
        pipeline.run("once", code=code)
        assert pipeline.see(item) == before
        store.lie = honest
        for held in pipeline.run("held", "--json", code=code == 1).json:
            pipeline.run("release", held["redirect"], code=0)
        pipeline.run("once", code=0, hours=1)
    redirected(pipeline, item, before)


def test_bytes_that_rot_after_their_proof_are_noticed_before_the_original_goes(pipeline: Pipeline) -> None:
    """It ends held; the notice that had been written is taken out again, and the attachment is where it was."""
    item, before = delivered(pipeline)
    pipeline.configure(SETTLING)
    pipeline.run("once", code=0)
    (stored,) = pipeline.stored()
    stored.write_bytes(PLAN[:-1] + b"!")
    pipeline.run("once", code=1, hours=3)
    (held,) = pipeline.run("held", "--json", code=1).json
    assert "gives back" in held["reason"]
    after = pipeline.see(item)
    assert after.version != before.version
    assert replace(after, version=before.version) == before


def test_a_store_of_yesterday_is_told(pipeline: Pipeline) -> None:
    """One file less may be its owner's act; where nothing of what came last is there, the store is an older one."""
    for _ in range(2):
        delivered(pipeline)
    pipeline.run("once", code=0)
    (first, second) = pipeline.stored()

    def told(code: int) -> dict[str, str]:
        found = pipeline.run("check", "--json", code=code).json
        return next(each for each in found if each["tried"] == "acme: what the store got last")

    assert told(0)["says"] == "is there, for 2 of the last 2 redirects"
    first.unlink()
    assert told(0)["says"] == "is there, for 1 of the last 2 redirects"
    second.unlink()
    assert told(1)["severity"] == "stopped"


def test_a_file_that_the_store_loses_after_its_proof_is_stored_again(pipeline: Pipeline) -> None:
    """The original is still there, since the links were not shown yet."""
    item, before = delivered(pipeline)
    pipeline.configure(SETTLING)
    pipeline.run("once", code=0)
    (stored,) = pipeline.stored()
    stored.unlink()
    pipeline.run("once", code=0, hours=3)
    pipeline.run("once", code=0, hours=6)
    redirected(pipeline, item, before)


# --- messages that go away ------------------------------------------------------------------------------------------


def test_a_message_that_vanishes_before_it_is_copied_is_dropped(pipeline: Pipeline) -> None:
    """Nothing is held, nothing is stored, and the exit code is 0: somebody deleted a message."""
    item, _ = delivered(pipeline)
    with before_the_store(once_files_come(answers(503, "PUT")))(pipeline):
        pipeline.run("once", code=3)
    pipeline.owner().delete(item)
    pipeline.configure()
    for hours in (1, 2, 3):
        summary = pipeline.run("once", "--json", code=0, hours=hours).json
    assert [(each["dropped"], each["held"], each["under_way"]) for each in summary["mailboxes"]] == [(1, 0, 0)]
    assert pipeline.stored() == []


def test_a_message_that_is_moved_before_it_is_copied_is_redirected_where_it_is(pipeline: Pipeline) -> None:
    """It has another id by then, and the old one answers that it is gone."""
    item, _ = delivered(pipeline)
    with before_the_store(once_files_come(answers(503, "PUT")))(pipeline):
        pipeline.run("once", code=3)
    pipeline.owner().move(item, "sentitems")
    (moved,) = pipeline.owner().find("sentitems")
    before = pipeline.see(moved)
    pipeline.configure()
    for hours in (1, 2, 3):
        pipeline.run("once", code=0, hours=hours)
    redirected(pipeline, moved, before)
    assert len(pipeline.stored()) == 1


# --- hostile mail ---------------------------------------------------------------------------------------------------

NAMES = (
    *("../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/shadow", "a/b/c.txt", "..", ".", " ", "~", "C:evil.exe"),
    *("line\nfeed.txt", "carriage\rreturn.txt", "nul\0byte.txt", "bell\a.txt", "escape\x1b[31m.txt"),
    *("\u202egpj.exe", "zero\u200bwidth.txt", "\ufeffbom.txt", "no\ufffecharacter.txt"),
    *("CON.txt", "nul", "LPT1.", "trailing dot.", "upload.part", ".htaccess", "desktop.ini"),
    *("n" * 300 + ".pdf", "\u00e4" * 300, "\U0001f4ce" * 100 + ".zip"),
    *("same.txt", "SAME.txt", "Same.TXT"),
    *("<script>alert(1)</script>.html", "\"'&;`$(id).txt", "what?#%2e%2e%2f.txt", "%s%n{0}{{7*7}}.txt"),
)


def test_names_of_attachments_reach_neither_the_file_system_nor_the_notice(pipeline: Pipeline) -> None:
    """Every file is redirected under a name that is safe everywhere, directly in the collection of its message."""
    files = {name: f"{number} {name}".encode() for number, name in enumerate(NAMES)}
    pipeline.named += ["passwd", "shadow", "gpj.exe", "script", "nnnnnnnn"]
    item = pipeline.deliver(letter(files))
    before = pipeline.see(item)
    others = _all_but(pipeline.root)
    pipeline.run("once", code=0)
    notice = redirected(pipeline, item, before)
    stored = pipeline.stored()
    assert sorted(path.read_bytes() for path in stored) == sorted(files.values())
    assert len({path.parent for path in stored}) == 1
    assert len({path.name.casefold() for path in stored}) == len(NAMES)
    assert [path.name for path in stored if not _is_safe(path.name)] == []
    assert _all_but(pipeline.root) == others
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u200b\u202e\ufeff]|<script", notice)


def _is_safe(name: str) -> bool:
    return (
        len(name.encode()) <= 255
        and not re.search(r'[\x00-\x1f<>:"/\\|?*\u200b\u202e\ufeff\ufffe]|^[. ]|[. ]$', name)
        and not re.fullmatch(r"(?i)(con|prn|aux|nul|(com|lpt)[0-9])(\..*)?", name)
    )


def _all_but(root: Path) -> set[Path]:
    """What else the store has."""
    return {path for path in root.parent.rglob("*") if not path.is_relative_to(root)}


LONG = 200_000
BODIES = {
    "empty": "",
    "a space": " ",
    "open comment": "<p>Hello</p><!-- and no end",
    "open comment first": "<!-- <p>Hello</p>",
    "plaintext": "<plaintext><p>Hello</p>",
    "two bodies": "<html><body><p>one</p></body></html><html><body><p>two</p></body></html>",
    "open script": "<script>var a = '<p>Hello</p>",
    "open style": "<style>p { color: red }<p>Hello</p>",
    "open title": "<title>Hello",
    "open textarea": "<textarea><p>Hello</p>",
    "open template": "<template><p>Hello</p>",
    "open attribute": "<p title='Hello</p>",
    "open CDATA": "<![CDATA[<p>Hello</p>",
    "open condition": "<!--[if mso]><p>Hello</p>",
    "frames": "<frameset><frame src=a></frameset><noframes><body>Hello",
    "svg": "<svg><style><!--</style><p>Hello</p>",
    "our mark": '<div data-redirect="0"><a href="https://files.example.org/">x</a></div>',
    "less than": "<" * 1_000_000,
    "comments": "<!--" * (LONG // 4),
    "open tags": "<a " * (LONG // 3),
    "nested": "<div>" * (LONG // 5),
    "attributes": "<p " + "a=b " * (LONG // 4) + ">",
    "quotes": "<p a='" * (LONG // 6),
    "references": "&" * LONG,
    "our divs": '<div data-redirect="' * (LONG // 20),
    "conditions": "<!--[if" * (LONG // 7),
}


@pytest.mark.parametrize("kind", ["html", "plain"])
def test_bodies_stay_what_they_are_around_the_notice(pipeline: Pipeline, kind: str) -> None:
    """However they end, and however long they take: cost is linear, and no character but the notice is new."""
    items = {name: pipeline.deliver(letter({NAME: PLAN}, body, kind=kind)) for name, body in BODIES.items()}
    before = {name: pipeline.see(item) for name, item in items.items()}
    ended = pipeline.run("once", "--json", code=0)
    assert pipeline.run("held", "--json", code=0).json == []
    for name, item in items.items():
        assert redirected(pipeline, item, before[name]), name
    assert ended.processor < 60


def test_of_two_texts_the_second_is_a_file(pipeline: Pipeline) -> None:
    """Exchange shows it so; it is redirected with the others, and the first is the body."""
    item = pipeline.deliver(letter({NAME: PLAN}, "<p>one</p>", "<p>two</p>"))
    before = pipeline.see(item)
    assert before.contents[0].strip() == b"<p>two</p>"
    pipeline.run("once", code=0)
    redirected(pipeline, item, before)


class Huge(Content):
    """So many bytes, and never all of them in memory."""

    def __init__(self, size: int) -> None:
        self.size = size

    def chunks(self) -> Iterator[bytes]:
        """A megabyte at a time."""
        block = PLAN[:256] * 4096
        for offset in range(0, self.size, len(block)):
            yield block[: self.size - offset]


@pytest.mark.parametrize("size", [200_000_000, pytest.param(1_000_000_000, marks=pytest.mark.by_hand)])
def test_a_huge_attachment_takes_time_and_no_memory(tmp_path: Path, wsgidav: DavServer, size: int) -> None:
    """Its bytes pass through piece by piece, and are proved in the store like those of a small one."""
    with Exchange() as exchange:
        exchange.add_mailbox(ANNA)
        pipeline = Pipeline(tmp_path, exchange, wsgidav)
        # More than can be put back: somebody wants it out all the same.
        pipeline.configure(EVERYTHING.replace("redirect}", "redirect, irreversible: true}"))
        small = pipeline.run("once", code=0).memory
        item = pipeline.deliver(letter({NAME: b"replaced"}))
        (attachment,) = exchange._organisation.mailboxes[ANNA].items[item].message.attachments
        attachment.content = Huge(size)
        big = pipeline.run("once", code=0).memory
        assert pipeline.owner().item(item).find(".//{*}FileAttachment") is None
    (stored,) = pipeline.stored()
    assert stored.stat().st_size == size
    stored.unlink()
    assert big - small < 50_000_000
