"""What a policy wants to see is fetched, once and no more; what nobody can tell leaves the file where it is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connector.errors import FileGone, Rejected, Unavailable
from connector.flow import ask as asking
from connector.flow.ask import Answer, ask
from connector.model import Action, Content, File, Item, Message, Need, Verdict
from connector.policy import Facts, Policy
from connector.sources.memory import Attached, MemorySource
from connector.spool import Spool
from tests.test_inspection import DOCM, DOCX
from tests.tnef import winmail
from tests.world import World

HEAD, WHOLE, SCAN, BODY = (frozenset({each}) for each in Need)
FACTS = Facts(now=datetime(2026, 2, 2, tzinfo=UTC), since=None, ours=False)


class Counted(MemorySource):
    """Counts what is asked of it."""

    asked: Counter[str]
    fails: Exception | None = None

    def fetch(self, item_id: str) -> Message:
        self.asked["fetch"] += 1
        return super().fetch(item_id)

    def open(self, item_id: str, file_id: str) -> Any:
        self.asked["open"] += 1
        if self.fails:
            raise self.fails
        return super().open(item_id, file_id)


@dataclass
class Scanner:
    """Finds what begins like a program."""

    seen: int = 0

    def infected(self, content: Spool) -> bool | None:
        """Whether it does."""
        self.seen += 1
        content.content.seek(0)
        return content.content.read(2) == b"MZ"


def asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *wants: Mapping[str, frozenset[Need]],
    scanner: Any = None,
    fails: Exception | None = None,
    content_of_winmail: bytes = b"",
) -> tuple[Answer, dict[str, Content], Counter[str]]:
    """Ask a policy that wants, one after the other, these of files by their names; what it saw, and what it cost."""
    world = World(tmp_path / "ledger.db", Policy())
    item_id = world.deliver(
        Attached("a.docx", DOCM),
        Attached("setup.exe", b"MZ" + bytes(99_999)),
        Attached("b", b"b"),
        Attached("winmail.dat", content_of_winmail),
    )
    rounds = iter(wants)

    def decide(_: Policy, item: Item, facts: Facts) -> tuple[Verdict, ...]:
        wanted = next(rounds, {})
        return tuple(
            Verdict(file=file, action=Action.KEEP, rule="", because="", needs=wanted.get(file.name, frozenset()))
            for file in item.files
        )

    monkeypatch.setattr(asking, "decide", decide)
    with world.process(source=Counted) as (watch, _):
        source = Counted(world.mailbox)
        source.asked, source.fails = Counter(), fails
        item = next(each for page in source.changes(None) for each in page.items)
        assert item.id == item_id
        answer = ask(item, replace(watch, source=source, scanner=scanner), FACTS)
    names = {file.id: file.name for file in item.files}
    return answer, {names[id_]: content for id_, content in answer.facts.contents.items()}, source.asked


def test_nothing_that_no_rule_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request."""
    _, seen, cost = asked(tmp_path, monkeypatch)
    assert (seen, cost) == ({}, Counter())


def test_only_the_files_that_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one its beginning, of another all that is in it."""
    answer, seen, cost = asked(tmp_path, monkeypatch, {"setup.exe": HEAD, "a.docx": WHOLE})
    assert seen["setup.exe"] == Content(head=(b"MZ" + bytes(99_999))[: 64 * 1024])
    assert seen["a.docx"] == Content(head=DOCM, encrypted=False, macros=True)
    assert cost == Counter(open=2)
    assert [verdict.file.name for verdict in answer.looked_into] == ["a.docx", "setup.exe"]


def test_all_that_a_file_is_asked_is_one_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read once, however much is looked at."""
    _, seen, cost = asked(tmp_path, monkeypatch, {"a.docx": HEAD | WHOLE | SCAN}, scanner=Scanner())
    assert seen["a.docx"] == Content(head=DOCM, encrypted=False, macros=True, infected=False)
    assert cost == Counter(open=1)


def test_the_body_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever files need it, and no file for it."""
    answer, seen, cost = asked(tmp_path, monkeypatch, {"a.docx": BODY, "b": BODY})
    assert answer.facts.body is not None
    assert "Hello" in answer.facts.body.content
    assert (seen, cost) == ({}, Counter(fetch=1))


@pytest.mark.parametrize("error", [FileGone("it is gone"), Rejected("it has no room here")])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Nothing is claimed of it."""
    _, seen, _ = asked(tmp_path, monkeypatch, {"a.docx": WHOLE | SCAN, "b": HEAD}, fails=error)
    assert seen == {"a.docx": Content(head=b""), "b": Content(head=b"")}


def test_without_a_scanner_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is not clean because nobody looked."""
    _, seen, _ = asked(tmp_path, monkeypatch, {"b": SCAN})
    assert seen["b"].infected is None


def test_a_scanner_that_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message waits."""

    class Down:
        def infected(self, content: Spool) -> bool | None:
            raise Unavailable("it is down")

    with pytest.raises(Unavailable, match="it is down"):
        asked(tmp_path, monkeypatch, {"b": SCAN}, scanner=Down())


def test_each_file_in_winmail_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its beginning, and by the scanner; what is in all of it is told of each; a name tells of macros too."""
    scanner = Scanner()
    content = winmail([("setup.pdf", b"MZ" + bytes(99_999)), ("a.docm", DOCX)])
    _, seen, cost = asked(
        tmp_path, monkeypatch, {"winmail.dat": WHOLE | SCAN}, scanner=scanner, content_of_winmail=content
    )
    program = Content(head=b"MZ" + bytes(64 * 1024 - 2), encrypted=False, macros=False, infected=True)
    document = Content(head=DOCX, encrypted=False, macros=True, infected=False)
    assert seen["winmail.dat"].packed == (
        (File(id="", name="setup.pdf", size=100_001), program),
        (File(id="", name="a.docm", size=len(DOCX)), document),
    )
    assert (cost, scanner.seen) == (Counter(open=1), 3)


def test_winmail_that_cannot_be_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what is in it, and why not; it counts as what it might be."""
    _, seen, _ = asked(tmp_path, monkeypatch, {"winmail.dat": WHOLE}, content_of_winmail=winmail([("a", b"a")])[:-1])
    told = seen["winmail.dat"]
    assert (told.encrypted, told.macros, told.packed) == (True, True, None)
    assert told.stays == "winmail.dat is cut off, damaged, or something else"
