"""What a plan looks at, sums up and tells: on mailboxes in memory, whose every verb is seen."""

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from connector.cli.answers import tell_plans
from connector.config.exports import databases
from connector.errors import Denied, Unavailable
from connector.ledger import Ledger
from connector.model import Body, Direction, FileKind, Message, Page
from connector.plan.make import Looks, Scope, make, read_departments
from connector.plan.robots import Habits
from connector.plan.sums import By, Plan
from connector.plan.tables import FEW, csv_text, exclusions, rows, sentences, told
from connector.policy import Exclude, Policy
from connector.sources.memory import Attached, MemoryMailbox, MemorySource
from tests.world import START, Saboteur, World

ALL = Policy.model_validate({"rules": [{"name": "all", "action": "redirect", "settle": 0}]})
REPORT = Attached("report.pdf", b"%PDF-1.7 report" * 1000)
BIT = Attached("bit.txt", b"a bit")


@contextmanager
def house(folder: Path, *mailboxes: MemoryMailbox, policy: Policy = ALL) -> Iterator[tuple[Looks, Ledger]]:
    """These mailboxes as those of one tenant."""
    world = World(folder / "ledger.db", policy)
    with world.process() as (watch, _), world.ledger() as ledger:
        watches = tuple(replace(watch, source=MemorySource(each), home="", since=None) for each in mailboxes)
        yield Looks(tenant="acme", watches=watches, house=("example.org",)), ledger


def people(number: int) -> list[MemoryMailbox]:
    """So many people, each with a mailbox."""
    return [MemoryMailbox(f"person{each}@example.org", f"key-{each}") for each in range(number)]


def plan_of(folder: Path, *mailboxes: MemoryMailbox, policy: Policy = ALL, **scope: Any) -> Plan:
    """The plan for all of their mail."""
    with house(folder, *mailboxes, policy=policy) as (looks, ledger):
        return make(
            looks, ledger, Scope(now=START, begin=None, **scope) if "begin" not in scope else Scope(now=START, **scope)
        )


# --- it is what enforcing does ------------------------------------------------------------------------------------

FILES = st.builds(
    Attached,
    name=st.sampled_from(["a.pdf", "b.exe", "c", "scan.PNG", "key.asc", "winmail.dat", "x.tar.gz"]),
    content=st.binary(max_size=3).map(lambda some: some * 2_000),
    content_type=st.sampled_from(["application/octet-stream", "image/png", "application/pgp-signature"]),
    kind=st.sampled_from([FileKind.FILE, FileKind.FILE, FileKind.ITEM, FileKind.REFERENCE]),
    inline=st.booleans(),
)
MAIL = st.fixed_dictionaries(
    {
        "folder": st.sampled_from(["Inbox", "Inbox/Records", "Drafts"]),
        "sender": st.sampled_from(["bert@example.net", "ada@example.org", "noreply@shop.example"]),
        "direction": st.sampled_from(list(Direction)),
        "sensitivity": st.sampled_from(["normal", "private"]),
        "received": st.sampled_from([START - timedelta(days=days) for days in (1, 40, 400)]),
        "body": st.sampled_from(
            [Body("<p>Hello</p>", html=True), Body("-----BEGIN PGP MESSAGE-----\n\nx", html=False)]
        ),
    }
)
CONDITIONS = st.dictionaries(
    st.sampled_from(["size_over", "extension", "true_type", "folder", "older_than", "sender", "kind"]),
    st.none(),
    max_size=2,
).map(
    lambda names: {
        name: {
            "size_over": "4 kB",
            "extension": ["pdf", "png"],
            "true_type": "executable",
            "folder": "Records",
            "older_than": "30d",
            "sender": "example.net",
            "kind": "message",
        }[name]
        for name in names
    }
)
RULES = st.lists(
    st.builds(
        lambda when, action: (
            {"when": when, "action": action, "settle": 0, "irreversible": True}
            if when
            else {"action": action, "settle": 0}
        ),
        CONDITIONS,
        st.sampled_from(["redirect", "copy", "keep", "hold"]),
    ),
    min_size=1,
    max_size=3,
).map(
    lambda found: Policy.model_validate(
        {"rules": [{"name": f"rule {number}", **each} for number, each in enumerate(found)]}
    )
)


@given(st.lists(st.tuples(st.lists(FILES, max_size=3), MAIL), min_size=1, max_size=5), RULES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_planned_is_what_is_done(mail: list[tuple[list[Attached], dict[str, Any]]], policy: Policy) -> None:
    """For any mail and policy: the same files of the same messages, by the same rules, with the same bytes."""
    with TemporaryDirectory() as folder:
        world = World(Path(folder) / "ledger.db", policy)
        for files, message in mail:
            world.deliver(*files, **message)
        saboteur = Saboteur()
        with world.process(saboteur) as (watch, ledger):
            looks = Looks(tenant="acme", watches=(watch,), house=())
            told = make(looks, ledger, Scope(now=world.now, begin=None))
        assert set(saboteur.seen) <= {"room", "fetch", "open"}
        world.run(ticks=20)
        with world.ledger() as ledger:
            done = list(ledger.redirects())
        expected: dict[str, Counter[str]] = {}
        for redirect in done:
            for each in redirect.live:
                if not each.inside:
                    expected.setdefault(each.rule, Counter()).update(files=1, bytes=each.file.size)
        found: dict[str, Counter[str]] = {}
        for (rule, _), line in told.lines[By.RULE].items():
            if line.at_once.files:
                found.setdefault(rule, Counter()).update(files=line.at_once.files, bytes=line.at_once.bytes)
        assert found == expected


def test_what_is_too_old_or_known_is_not_done_at_once(tmp_path: Path) -> None:
    """The time that is looked at is one thing, and what the next turn would begin with another."""
    world = World(tmp_path / "ledger.db", ALL)
    for days in (400, 20, 10, 1):
        world.deliver(REPORT, received=START - timedelta(days=days))
    scope = Scope(now=START, begin=START - timedelta(days=30))
    with world.process() as (watch, ledger):
        looks = Looks(tenant="acme", watches=(replace(watch, since=START - timedelta(days=15)),), house=())
        (line,) = make(looks, ledger, scope).lines[By.RULE].values()
        assert (line.amount.files, line.at_once.files) == (3, 2)
        never = replace(looks, watches=(replace(watch, since=None),))
        (line,) = make(never, ledger, scope).lines[By.RULE].values()
        assert (line.amount.files, line.at_once.files) == (3, 0)
    world.run()
    with world.process() as (watch, ledger):
        looks = Looks(tenant="acme", watches=(watch,), house=())
        lines = make(looks, ledger, Scope(now=START, begin=None)).lines[By.RULE]
    assert lines == {}


def test_a_mailbox_of_nobody_is_told_and_nothing_is_done_in_it(tmp_path: Path) -> None:
    """Where the store knows nobody for it, a turn leaves it alone: its links would open for nobody."""
    world = World(tmp_path / "ledger.db", ALL)
    world.store.unknown.add(world.mailbox.address)
    world.store.admitted = {}
    world.deliver(REPORT)
    with world.process() as (watch, ledger):
        plan = make(Looks(tenant="acme", watches=(watch,), house=()), ledger, Scope(now=START, begin=None))
    (line,) = plan.lines[By.RULE].values()
    assert (line.amount.files, line.at_once.files) == (1, 0)
    assert any("nobody could open" in problem for _, problem in plan.problems)
    assert world.mailbox.address not in repr(told(plan, named=False))
    assert world.mailbox.address in repr(told(plan, named=True)["shares"])
    world.run(ticks=3)
    with world.ledger() as ledger:
        assert ledger.redirects() == ()


def test_one_mailbox_that_is_refused_hides_no_other(tmp_path: Path) -> None:
    """It is told, with the reason; so are messages that could not be read."""

    class Refused(MemorySource):
        def changes(self, cursor: str | None) -> Any:
            raise Denied("no impersonation here")

    class Busy(MemorySource):
        def fetch(self, item_id: str) -> Message:
            raise Unavailable("busy")

    one, two, three = people(3)
    for each in (one, two, three):
        each.deliver(REPORT)
    with house(tmp_path, one, two, three) as (looks, ledger):
        sources = (MemorySource(one), Refused(two), Busy(three))
        watches = (replace(w, source=s) for w, s in zip(looks.watches, sources, strict=True))
        plan = make(replace(looks, watches=tuple(watches)), ledger, Scope(now=START, begin=None))
    of = told(plan, named=True)
    assert of["not_looked_at"] == [{"mailbox": two.address, "because": "no impersonation here"}]
    unnamed = told(plan, named=False)
    assert (unnamed["mailboxes_not_looked_at"], unnamed["not_looked_at"]) == (1, [])
    assert "1 mailboxes could not be looked at to their end" in next(sentences(unnamed))
    assert (of["messages_not_judged"], [row["files"] for row in of["total"]]) == (1, [1])


def test_several_mailboxes_are_looked_at_at_a_time(tmp_path: Path) -> None:
    """Each of three waits until the others are read too; the sums are those of one after the other."""
    mailboxes = people(3)
    together = Barrier(3)

    class Waiting(MemorySource):
        def changes(self, cursor: str | None) -> Iterator[Page]:
            together.wait(timeout=60)
            return super().changes(cursor)

    for each in mailboxes:
        for _ in range(30):
            each.deliver(REPORT, BIT)
    with house(tmp_path, *mailboxes) as (looks, ledger):
        one_by_one = make(looks, ledger, Scope(now=START, begin=None))
        waiting = tuple(
            replace(watch, source=Waiting(each)) for watch, each in zip(looks.watches, mailboxes, strict=True)
        )
        at_a_time = make(replace(looks, watches=waiting), ledger, Scope(now=START, begin=None, threads=3))
    assert told(at_a_time, named=True) == told(one_by_one, named=True)


def test_a_bug_ends_it(tmp_path: Path) -> None:
    """It is not swallowed with the mailbox that it is in, nor does anybody wait for all the others."""

    class Broken(MemorySource):
        def changes(self, cursor: str | None) -> Iterator[Page]:
            raise ZeroDivisionError

    mailboxes = people(3)
    with house(tmp_path, *mailboxes) as (looks, ledger):
        watches = tuple(replace(watch, source=Broken(mailboxes[0])) for watch in looks.watches)
        with pytest.raises(ZeroDivisionError):
            make(replace(looks, watches=watches), ledger, Scope(now=START, begin=None, threads=2))


def test_what_is_older_is_not_even_listed(tmp_path: Path) -> None:
    """Where a plan begins somewhere, servers are asked for what came in since then; else for all."""
    asked: list[object] = []

    class Asked(MemorySource):
        def recent(self, since: datetime) -> Iterator[Page]:
            asked.append(since)
            return super().recent(since)

    (mailbox,) = people(1)
    for days in (1, 3):
        mailbox.deliver(REPORT, received=START - timedelta(days=days))
    begin = START - timedelta(days=2)
    found = []
    for since in (begin, None):
        with house(tmp_path, mailbox) as (looks, ledger):
            watches = tuple(replace(each, source=Asked(mailbox)) for each in looks.watches)
            plan = make(replace(looks, watches=watches), ledger, Scope(now=START, begin=since))
            found.append(plan.stored.files)
    assert (asked, found) == ([begin], [1, 2])


# --- what it comes to ---------------------------------------------------------------------------------------------


def test_a_file_in_many_mailboxes_is_told_once_and_as_a_sum(tmp_path: Path) -> None:
    """A mail to all staff: by Message-ID, name and size; another message with the same file is another."""
    mailboxes = people(6)
    for each in mailboxes:
        each.deliver(REPORT, BIT, internet_message_id="<all@example.org>")
    mailboxes[0].deliver(REPORT)
    size = len(REPORT.content) + 300
    store = told(plan_of(tmp_path, *mailboxes), named=False)["store"]
    both = size + len(BIT.content) + 300
    assert (store["files"], store["bytes"]) == (13, 6 * both + size)
    assert (store["repeated_files"], store["repeated_bytes_once"], store["repeated_bytes"]) == (2, both, 6 * both)


def test_recoverable_items_grow_by_what_edits_leave_there(tmp_path: Path) -> None:
    """The worst fourteen days count; a mailbox that would come to 70 % is named, where names are asked for."""
    full, roomy, *others = people(6)
    size = len(REPORT.content) + 300
    for each in (full, roomy):
        for days in (1, 14, 15, 30):
            each.deliver(REPORT, received=START - timedelta(days=days))
    full.quota = int(4 * size / 0.7)
    plan = plan_of(tmp_path, full, roomy, *others)
    assert [each.most_recoverable for each in plan.shares[:2]] == [4 * size, 4 * size]
    assert [each.address for each in plan.shares if each.fills] == [full.address]
    assert plan.recoverable == 2 * 2 * 4 * size
    which = told(plan, named=True)["recoverable_items"]["which"]
    assert [(each["mailbox"], each["fills"]) for each in which] == [(full.address, True), (roomy.address, False)]


def test_what_was_forwarded_is_told(tmp_path: Path) -> None:
    """Hits alone: of what stays as it is, nobody asks. Of fewer than five people no number is told."""
    mailboxes = people(6)
    for each in mailboxes:
        each.deliver(REPORT, forwarded=True)
        each.deliver(REPORT)
        each.deliver(forwarded=True)
    size = len(REPORT.content) + 300
    of = told(plan_of(tmp_path, *mailboxes), named=False)
    assert of["forwarded"] == {"messages": 6, "files": 6, "bytes": 6 * size}
    assert any("6 of the messages that would lose files" in each for each in sentences(of))
    for each in mailboxes[4:]:
        each.delete(each.entries()[0].message.id)
    plan = plan_of(tmp_path, *mailboxes)
    assert told(plan, named=False)["forwarded"] is None
    assert told(plan, named=True)["forwarded"]["messages"] == 4


def test_what_lies_with_programs_is_told(tmp_path: Path) -> None:
    """How many hits; and nothing, where there is no such mailbox."""
    robot, *others = (MemoryMailbox("scan@example.org", "scan"), *people(5))
    for each in (robot, *others):
        each.deliver(REPORT)
    plan = plan_of(tmp_path, robot, *others)
    assert told(plan, named=False)["robots"] is None
    of = told(plan, named=True)
    assert of["robots"]["messages"] == 1
    assert any("1 of them" in each and "programs seem to read" in each for each in sentences(of))
    assert told(plan_of(tmp_path, *others), named=True)["robots"]["messages"] == 0


def test_databases_and_nights(tmp_path: Path) -> None:
    """Recoverable Items and logs grow by so much a night in each database that Exchange's export names."""
    mailboxes = people(11)
    for number, each in enumerate(mailboxes):
        each.deliver(REPORT, received=START - timedelta(days=2 if number else 1))
    export = tmp_path / "databases.csv"
    lines = [f'"Person{n}@example.org","DB0{1 + n // 5}"' for n in range(11)]
    export.write_text("\n".join(['"PrimarySmtpAddress","Database"', *lines]))
    plan = plan_of(tmp_path, *mailboxes, databases=databases(export))
    size = len(REPORT.content) + 300
    by_name = told(plan, named=True)["recoverable_items"]["databases"]
    assert [(each["database"], each["bytes_per_night"]) for each in by_name] == [
        ("DB01", 5 * size),
        ("DB02", 5 * size),
        ("DB03", size),
    ]
    # One is of a single person: it goes together with another, so that no difference tells of it.
    folded = told(plan, named=False)["recoverable_items"]["databases"]
    assert sorted(each["bytes_per_night"] for each in folded) == [5 * size, 6 * size]
    assert any("a night in the database DB0" in each for each in sentences(told(plan, named=False)))


def test_trash_and_backups_count(tmp_path: Path) -> None:
    """What the store grows by, so many times."""
    mailboxes = people(5)
    for each in mailboxes:
        each.deliver(REPORT)
    of = told(plan_of(tmp_path, *mailboxes, kept=2.5), named=False)
    assert of["store"]["bytes_kept"] == round(2.5 * of["store"]["bytes"])
    assert any("each byte being kept 2.5 times" in each for each in sentences(of))


def test_shares_are_held_against_what_the_store_allows(tmp_path: Path) -> None:
    """One for each mailbox that is not open yet, one for each message with links for anyone: 20 in ten minutes."""
    policy = Policy.model_validate({"rules": [{"name": "all", "action": "redirect", "link": {"audience": "anyone"}}]})
    world = World(tmp_path / "ledger.db", policy)
    world.store.admitted = {}
    for _ in range(44):
        world.deliver(REPORT, BIT)
    with world.process() as (watch, ledger):
        plan = make(Looks(tenant="acme", watches=(watch,), house=()), ledger, Scope(now=START, begin=None))
    assert told(plan, named=True)["shares"] == {
        "needed": 45,
        "budget": 20,
        "minutes": 20,
        "mailboxes_of_nobody": 0,
        "which": [],
    }
    assert [problem for _, problem in plan.problems] == [
        "whoever comes by the link can open it: it asks for no password"
    ]


def test_no_shares_take_no_time(tmp_path: Path) -> None:
    """And not ten minutes less than none."""
    plan = Plan(tenant="acme", begin=None, end=START, budget=20)
    assert plan.time_for_shares == timedelta(0)


def test_a_mailbox_in_which_nothing_would_be_done_lets_nothing_grow(tmp_path: Path) -> None:
    """Whose it is, nobody knows: its files stay, and no share is made."""
    policy = Policy.model_validate({"rules": [{"name": "all", "action": "redirect", "link": {"audience": "anyone"}}]})
    world = World(tmp_path / "ledger.db", policy)
    world.store.admitted = {}
    world.deliver(REPORT)
    with world.process() as (watch, ledger):
        world.store.unknown = {watch.source.address}
        plan = make(Looks(tenant="acme", watches=(watch,), house=()), ledger, Scope(now=START, begin=None))
    assert plan.shares[0].blocked
    of = told(plan, named=True)
    assert (of["store"]["bytes"], of["recoverable_items"]["bytes"], of["shares"]["needed"]) == (0, 0, 0)
    assert of["days"] == []


def test_no_amount_tells_of_few_people_unless_they_are_named(tmp_path: Path) -> None:
    """What stays for now, what is looked into and for whom shares are made, in one mailbox of six."""
    rules = [
        {"name": "old", "when": {"older_than": "30d"}, "action": "redirect"},
        {"name": "programs", "when": {"true_type": "executable", "folder": "Records"}, "action": "hold"},
    ]
    one, *others = people(6)
    for each in (one, *others):
        each.deliver(REPORT, received=START - timedelta(days=40))
    one.deliver(BIT, received=START - timedelta(days=3), folder="Inbox/Records")
    plan = plan_of(tmp_path, one, *others, policy=Policy.model_validate({"rules": rules}))
    plan.budget, plan.public_shares, plan.sharing = 20, 1, {0}
    named, unnamed = (told(plan, named=each) for each in (True, False))
    assert [named[each]["files"] for each in ("later", "looked_into")] == [1, 1]
    assert [unnamed[each] for each in ("later", "looked_into")] == [None, None]
    assert (named["shares"]["needed"], unnamed["shares"]["needed"], unnamed["shares"]["minutes"]) == (1, None, None)
    assert len(list(sentences(named))) == len(list(sentences(unnamed))) + 3


def test_links_that_outsiders_cannot_open_are_told(tmp_path: Path) -> None:
    """Of messages to people outside: what is answered to all or forwarded carries the link to them."""
    (mailbox,) = people(1)
    mailbox.deliver(REPORT, recipients=("anna@example.org",))
    mailbox.deliver(REPORT, recipients=("anna@example.org", "Eve@Example.net"))
    plan = plan_of(tmp_path, mailbox)
    ((rule, problem),) = plan.problems
    assert (rule, plan.problems[rule, problem].amount.messages) == ("all", 1)
    assert "outside of the house cannot open a link for store" in problem


def test_what_rules_look_into_is_told(tmp_path: Path) -> None:
    """So many files, and no more than their first 64 KiB where these tell."""
    policy = Policy.model_validate(
        {"rules": [{"name": "programs", "when": {"true_type": "executable"}, "action": "hold"}]}
    )
    (mailbox,) = people(1)
    mailbox.deliver(Attached("big.bin", bytes(200_000)), BIT)
    plan = plan_of(tmp_path, mailbox, policy=policy)
    assert (plan.looked_into.amount.files, plan.looked_into.amount.bytes) == (2, 64 * 1024 + len(BIT.content) + 300)


def test_what_ages_into_a_rule_is_told(tmp_path: Path) -> None:
    """It stays for now, and a turn looks at it again."""
    policy = Policy.model_validate({"rules": [{"name": "old", "when": {"older_than": "30d"}, "action": "redirect"}]})
    (mailbox,) = people(1)
    mailbox.deliver(REPORT, received=START - timedelta(days=3))
    assert plan_of(tmp_path, mailbox, policy=policy).later.amount.files == 1


# --- who is not told of -------------------------------------------------------------------------------------------


def test_fewer_than_five_people_are_one_line(tmp_path: Path) -> None:
    """And where these are fewer than five too, the next smallest line goes with them: no difference tells of them."""
    mailboxes = people(11)
    for number, each in enumerate(mailboxes):
        each.deliver(REPORT)
        if number < 5:
            each.deliver(Attached("a.csv", b"x"))
        if number < 2:
            each.deliver(Attached("a.key", b"x"))
    plan = plan_of(tmp_path, *mailboxes)
    assert [(row["group"], row["people"]) for row in rows(plan, By.TYPE, named=False)] == [("pdf", 11), (FEW, 5)]
    assert {row["group"] for row in rows(plan, By.TYPE, named=True)} == {"pdf", "csv", "key"}
    assert [row["group"] for row in rows(plan, By.MAILBOX, named=False)] == [FEW]
    assert len(rows(plan, By.MAILBOX, named=True)) == 11
    assert rows(plan, By.SENDER, named=False) == []


def test_of_fewer_than_five_people_in_all_no_number_is_told(tmp_path: Path) -> None:
    """Not even a sum, however many empty mailboxes are looked at with theirs."""
    mailboxes = people(8)
    for each in mailboxes[:4]:
        each.deliver(REPORT)
    of = told(plan_of(tmp_path, *mailboxes), named=False)
    assert [(row["people"], row["files"], row["at_once_bytes"]) for row in of["total"]] == [(FEW, None, None)]
    assert "store" not in of
    assert not any(str(value) in csv_text([of]) for value in (4 * 15_300, 15_300))


def test_no_sum_tells_what_a_line_leaves_out(tmp_path: Path) -> None:
    """The growth of the store is what is redirected and what is copied: one of them shown would tell the other."""
    policy = Policy.model_validate(
        {
            "rules": [
                {"name": "one", "when": {"recipient": "person0@example.org"}, "action": "copy"},
                {"name": "all", "action": "redirect"},
            ]
        }
    )
    mailboxes = people(8)
    for each in mailboxes:
        each.deliver(REPORT)
    plan = plan_of(tmp_path, *mailboxes, policy=policy)
    assert [(row["action"], row["files"]) for row in told(plan, named=False)["total"]] == [
        ("redirect", 7),
        ("copy", None),
    ]
    assert told(plan, named=False)["store"] is None
    assert told(plan, named=True)["store"]["files"] == 8


def test_departments_are_those_of_a_list(tmp_path: Path) -> None:
    """Of people who are not in it, there is a line too. Without a list, the groups that the tenant knows are told."""
    mailboxes = people(12)
    for each in mailboxes:
        each.deliver(REPORT)
    file = tmp_path / "departments.csv"
    file.write_text("mailbox,department\n" + "".join(f"Person{n}@example.org,Finance\n\n" for n in range(7)))
    plan = plan_of(tmp_path, *mailboxes, departments=read_departments(file))
    lines = rows(plan, By.DEPARTMENT, named=False)
    assert [(row["group"], row["people"]) for row in lines] == [("Finance", 7), ("(no department)", 5)]
    with house(tmp_path, *mailboxes) as (looks, ledger):
        groups = [frozenset({"it", "pilot"}) if number < 6 else frozenset() for number in range(12)]
        watches = tuple(replace(w, groups=of) for w, of in zip(looks.watches, groups, strict=True))
        plan = make(replace(looks, watches=watches), ledger, Scope(now=START, begin=None))
    assert [(row["group"], row["people"]) for row in rows(plan, By.DEPARTMENT, named=False)] == [
        ("it", 6),
        ("pilot", 6),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("address;department\n", "line 1: give the names of the columns: mailbox,department"),
        ("mailbox,department\nanna@example.org\n", "line 2: give a mailbox and its department"),
        ("mailbox,department\nanna@example.org,\n", "line 2: give a mailbox and its department"),
        ("mailbox,department\n\xff", "cannot be read"),
    ],
)
def test_a_list_of_departments_that_is_wrong(text: str, sentence: str, tmp_path: Path) -> None:
    """The line is told, and what would be right."""
    file = tmp_path / "departments.csv"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=sentence):
        read_departments(file)


def test_a_spreadsheet_takes_nothing_for_a_formula(tmp_path: Path) -> None:
    """Whoever writes mail chooses his domain and the name of his file."""
    (mailbox,) = people(1)
    mailbox.deliver(REPORT, sender="eve@=cmd|'/c calc'!a1")
    text = csv_text([told(plan_of(tmp_path, mailbox), named=True)])
    assert "acme,domain,'=cmd|'/c calc'!a1,redirect" in text


def test_people_read_the_largest_lines_and_a_csv_has_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the table says how many it leaves out."""
    (mailbox,) = people(1)
    for number in range(45):
        mailbox.deliver(Attached("a.bin", bytes(1000 + number)), sender=f"eve@number{number}.example")
    of = told(plan_of(tmp_path, mailbox), named=True)
    assert csv_text([of]).count("acme,domain,") == 45
    tell_plans([of], By.DOMAIN, as_json=False)
    table = capsys.readouterr().out
    assert "number44.example" in table
    assert "number4.example" not in table
    assert "5 smaller lines are told by --csv and --json only" in table


# --- robots -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "senders", "sent", "drafted"),
    [
        ("rechnung@example.org", [], 0, True),
        ("e-invoice.import@example.org", [], 0, True),
        ("scan-2@example.org", [], 0, True),
        ("scannell@example.org", [], 0, False),
        ("noreply@example.org", [], 3, False),
        ("post@example.org", ["no-reply@shop.example"] * 19 + ["eve@example.net"], 0, True),
        ("post@example.org", ["no-reply@shop.example"] * 19, 0, False),
        ("post@example.org", ["no-reply@shop.example"] * 20, 1, False),
        ("anna@example.org", ["eve@example.net"] * 50, 0, False),
    ],
)
def test_mailboxes_that_programs_read(address: str, senders: list[str], sent: int, drafted: bool) -> None:  # noqa: FBT001 - a case
    """By the name, or where nearly only programs write and nobody answers. A person who writes is none."""
    habits = Habits(address)
    mailbox = MemoryMailbox(address)
    for sender in senders:
        habits.see(mailbox.entry(mailbox.deliver(REPORT, sender=sender)).message)
    for _ in range(sent):
        habits.see(mailbox.entry(mailbox.deliver(REPORT, direction=Direction.SENT)).message)
    assert bool(habits.signs) is drafted


def test_what_a_server_fails_at_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes a plan for whole that is not."""
    changes = MemorySource.changes

    def failing(source: MemorySource, cursor: str | None) -> Iterator[Page]:
        yield from (replace(page, unread=("x", "y")) for page in changes(source, cursor))

    monkeypatch.setattr(MemorySource, "changes", failing)
    (share,) = plan_of(tmp_path, *people(1)).shares
    assert share.unread == 2


@pytest.mark.parametrize(("unread", "drafted"), [(0, True), (1, False)])
def test_a_mailbox_where_nothing_is_unread(unread: int, drafted: bool) -> None:  # noqa: FBT001 - a case
    """And half of which comes from programs: somebody takes each message at once, and answers none."""
    habits, mailbox = Habits("post@example.org"), MemoryMailbox()
    for number in range(20):
        sender = "no-reply@shop.example" if number % 2 else "eve@example.net"
        message = mailbox.entry(mailbox.deliver(REPORT, sender=sender)).message
        habits.see(replace(message, read=number >= unread))
    assert bool(habits.signs) is drafted


def test_exclusions_are_drafted_as_yaml(tmp_path: Path) -> None:
    """Of those whose name does not say it, only where names are asked for."""
    scanner, shop = MemoryMailbox("scan@example.org", "one"), MemoryMailbox("orders@example.org", "two")
    for _ in range(20):
        shop.deliver(REPORT, sender="noreply@shop.example")
    plan = plan_of(tmp_path, scanner, shop)
    drafted = Exclude.model_validate(YAML(typ="safe").load(exclusions(plan, named=True))["exclude"])
    assert drafted.mailboxes == ("scan@example.org", "orders@example.org")
    assert "scan@example.org" in exclusions(plan, named=False)
    assert "orders" not in exclusions(plan, named=False)
    assert "orders" in exclusions(plan, named=True)


# --- another policy -----------------------------------------------------------------------------------------------


def test_what_another_policy_changes(tmp_path: Path) -> None:
    """Per rule and mailbox; the mail is read once, and each file looked into once."""
    policy = Policy.model_validate(
        {"rules": [{"name": "pdf", "when": {"true_type": "pdf"}, "action": "redirect", "settle": 0}]}
    )
    other = Policy.model_validate(
        {
            "rules": [
                {"name": "pdf", "when": {"true_type": "pdf", "size_over": "4 kB"}, "action": "redirect", "settle": 0},
                {"name": "rest", "action": "copy"},
            ]
        }
    )
    (mailbox,) = people(1)
    mailbox.deliver(REPORT, Attached("small.pdf", b"%PDF-1.7"), BIT)
    reads: list[str] = []

    class Counting(MemorySource):
        def open(self, item_id: str, file_id: str) -> Any:
            reads.append(file_id)
            return super().open(item_id, file_id)

    with house(tmp_path, mailbox, policy=policy) as (looks, ledger):
        watches = (replace(looks.watches[0], source=Counting(mailbox)),)
        plan = make(
            replace(looks, watches=watches),
            ledger,
            Scope(now=START, begin=None, other=lambda watch: replace(watch, policy=other)),
        )
    assert len(reads) == len(set(reads)) == 3
    changes = {(row["by"], row["group"], row["change"]): row["files"] for row in told(plan, named=True)["changes"]}
    assert changes == {
        ("rule", "pdf → rest", "redirect for store → copy"): 1,
        ("rule", "(no rule) → rest", "keep → copy"): 1,
        ("mailbox", mailbox.address, "redirect for store → copy"): 1,
        ("mailbox", mailbox.address, "keep → copy"): 1,
    }


def test_another_policy_that_looks_deeper(tmp_path: Path) -> None:
    """What was read for the first bytes alone does not tell whether a file is encrypted: it is read again."""
    policy = Policy.model_validate(
        {"rules": [{"name": "zip", "when": {"true_type": "archive"}, "action": "redirect", "settle": 0}]}
    )
    deeper = Policy.model_validate(
        {
            "rules": [
                {"name": "open", "when": {"true_type": "archive", "encrypted": False}, "action": "copy"},
                {"name": "zip", "when": {"true_type": "archive"}, "action": "redirect", "settle": 0},
            ]
        }
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "text")
    (mailbox,) = people(1)
    mailbox.deliver(Attached("a.zip", packed.getvalue()))
    plan = plan_of(tmp_path, mailbox, policy=policy, other=lambda watch: replace(watch, policy=deeper))
    changes = {(row["group"], row["change"]) for row in told(plan, named=True)["changes"] if row["by"] == "rule"}
    assert changes == {("zip → open", "redirect for store → copy")}


def test_rules_on_trial_and_mailboxes_outside_the_pilot(tmp_path: Path) -> None:
    """What a rule on trial would do is told beside what is done; where only is monitored, nothing is done at once."""
    policy = Policy.model_validate(
        {
            "rules": [
                {"name": "new", "mode": "monitor", "when": {"size_over": "4 kB"}, "action": "hold"},
                {"name": "all", "action": "copy"},
            ]
        }
    )
    one, two = people(2)
    for each in (one, two):
        each.deliver(REPORT, BIT)
    with house(tmp_path, one, two, policy=policy) as (looks, ledger):
        watches = tuple(replace(each, since=START - timedelta(days=999)) for each in looks.watches)
        scope = Scope(now=START, begin=None)
        plan = make(replace(looks, watches=watches, outside=frozenset({two.address})), ledger, scope)
    of = told(plan, named=True)
    assert [(row["rule"], row["would"], row["files"]) for row in of["trials"]] == [("new", "hold", 2)]
    assert {row["group"]: (row["files"], row["at_once_files"]) for row in of["mailbox"]} == {
        one.address: (2, 2),
        two.address: (2, 0),
    }
