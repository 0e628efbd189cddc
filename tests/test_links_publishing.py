"""The daemon's side of our own links: one publication for what is shared, and the same links whenever it is asked."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import respx

from connector.errors import Rejected
from connector.links.book import Belonging, Book, Publication
from connector.links.publishing import LinksConfig, Publisher
from connector.links.tokens import hashed, opens
from connector.model import Audience, Link, LinkTerms, Origin, Stored
from connector.stores.memory import MemoryStore
from tests.laws.stores import ORIGIN, spool

KEY = b"k" * 32
ANYONE = LinkTerms(Audience.ANYONE)


@dataclass
class House:
    """A tenant with a store, a book, and what it says of them."""

    folder: Path
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.book = Book(self.database)

    @property
    def database(self) -> str:
        """The address of the book."""
        return f"sqlite:///{self.folder}/links.db"

    def publisher(self, **settings: object) -> Publisher:
        """A daemon's thread begins anew."""
        config = LinksConfig.model_validate(
            {"url": "https://files.example.org/", "database": self.database, "key": {"env": "KEY"}, **settings}
        )
        return Publisher(config, KEY, self.book, "acme", self.store)

    def stored(self, *names: str) -> list[Stored]:
        """Files of one message, in the store."""
        return [self.store.put(f"acme/R1/{name}", spool(name.encode())) for name in names]

    def share(self, terms: LinkTerms = ANYONE, *names: str, **settings: object) -> tuple[Link, ...]:
        """The links of files of one message."""
        return self.publisher(**settings).share(self.stored(*(names or ("a.pdf",))), terms, ORIGIN)

    def published(self, terms: LinkTerms = ANYONE, **settings: object) -> Publication:
        """What stands in the book afterwards."""
        self.share(terms, **settings)
        (found,) = self.book.of_tenant("acme")
        return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Nothing is published yet."""
    built = House(tmp_path)
    yield built
    built.book.close()


@pytest.mark.parametrize("audience", Audience)
def test_shared_again_the_links_are_the_same(house: House, audience: Audience) -> None:
    """By another thread, after a crash, in another order."""
    (house.folder / "readers.csv").write_text("mailbox,reader\nanna@example.org,group:finance\n")
    terms, listed = LinkTerms(audience), {"readers": house.folder / "readers.csv"}
    links = house.share(terms, "b.pdf", "a.pdf", **listed)
    assert len({link.url for link in links}) == 2
    assert house.share(terms, "b.pdf", "a.pdf", **listed) == links
    assert house.share(terms, "a.pdf", "b.pdf", **listed) == links[::-1]
    assert len(house.book.of_tenant("acme")) == 1


def test_a_link_for_anyone_is_its_token(house: House) -> None:
    """The book knows its hash; the redirect's id is not in the address, so nobody who knows that gets any further."""
    (link,) = house.share()
    secret = link.url.removeprefix("https://files.example.org/a/").removesuffix("/1")
    token = house.book.token(hashed(secret))
    assert token
    assert (token.expires, token.password, token.downloads) == (None, "", None)
    assert "R1" not in link.url


def test_a_link_for_people_of_the_house_names_its_publication(house: House) -> None:
    """It asks for a login: nothing in it has to be secret."""
    (link,) = house.share(LinkTerms(Audience.STAFF))
    (found,) = house.book.of_tenant("acme")
    assert link == Link(f"https://files.example.org/r/{found.id}/1")
    assert found.id.startswith("R1-")
    assert [(each.path, each.name, each.target) for each in found.files] == [("acme/R1/a.pdf", "a.pdf", "")]


def test_where_the_store_lets_people_in_the_page_leads_on_to_it(house: House) -> None:
    """The message shows our address, which outlives the store's."""
    (link,) = house.share(LinkTerms())
    (found,) = house.book.of_tenant("acme")
    assert link.url == f"https://files.example.org/r/{found.id}/1"
    assert house.store.download(found.files[0].target) == b"a.pdf"
    house.publisher().revoke("acme/R1")
    assert house.store.shares == []


def test_files_of_two_rules_are_two_publications(house: House) -> None:
    """What is for anyone is not listed beside what is for staff."""
    house.share(ANYONE, "a.pdf")
    house.share(LinkTerms(Audience.STAFF), "b.pdf")
    shown = {each.audience: [file.name for file in each.files] for each in house.book.of_tenant("acme")}
    assert shown == {Audience.ANYONE: ["a.pdf"], Audience.STAFF: ["b.pdf"]}


def test_the_end_counts_from_the_first_time(house: House) -> None:
    """A fresh look at a link does not let it last longer."""
    terms = LinkTerms(Audience.ANYONE, timedelta(days=30), downloads=3)
    (link,) = house.share(terms)
    assert link.expires
    assert abs(link.expires - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)
    assert house.share(terms) == (link,)
    token = house.book.token(hashed(link.url.split("/")[-2]))
    assert token
    assert (token.expires, token.downloads) == (link.expires, 3)


def test_a_password_is_sealed_and_can_be_told(house: House) -> None:
    """It opens the token that the message shows, and is in neither book nor link."""
    terms = LinkTerms(Audience.ANYONE, password=True)
    (link,) = house.share(terms)
    token = house.book.token(hashed(link.url.split("/")[-2]))
    said = house.publisher().password(terms, ORIGIN)
    assert token
    assert opens(token.password, said)
    assert said not in token.password + link.url


def test_what_was_revoked_is_not_given_out_again(house: House) -> None:
    """The message would show a link that opens nothing, and lose its originals."""
    published = house.published()
    house.publisher().revoke("acme/R1")
    with pytest.raises(Rejected, match="connector links extend R1"):
        house.share()
    house.book.extend(published.id, None)
    assert house.share()


def test_what_has_ended_is_not_given_out(house: House) -> None:
    """A message whose originals are to go shows a link that lasts."""
    house.book.extend(house.published().id, datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Rejected, match="have ended"):
        house.share()


def test_renewed_it_is_another_link(house: House) -> None:
    """The old one is dead, and the new one comes again."""
    before = house.share()
    house.book.renew(house.published().id, None, datetime.now(UTC))
    after = house.share()
    assert after != before
    assert house.share() == after
    old = house.book.token(hashed(before[0].url.split("/")[-2]))
    assert old
    assert old.ended


def test_whom_a_link_opens_for(house: House) -> None:
    """The owner is the mailbox, and whom the list names for it; a group is what the list says, and nothing else."""
    listed = house.folder / "readers.csv"
    listed.write_text("mailbox,reader\nanna@example.org,user:anna\ninfo@example.org,group:Front desk\n")
    assert house.published(LinkTerms(Audience.OWNER)).readers == ("anna@example.org",)
    assert house.published(LinkTerms(Audience.OWNER), readers=listed).readers == ("anna@example.org", "user:anna")
    with pytest.raises(Rejected, match=r"anna@example\.org belongs to: add it to .*readers\.csv"):
        house.share(LinkTerms(Audience.GROUP), readers=listed)
    with pytest.raises(Rejected, match=r"name a list as links\.readers"):
        house.share(LinkTerms(Audience.GROUP))
    origin = Origin(redirect="R2", folder="acme/R2", mailbox="Info@example.org", sender="x@example.org", received=None)
    house.publisher(readers=listed).share(house.stored("c.pdf"), LinkTerms(Audience.GROUP), origin)
    assert [each.readers for each in house.book.of_tenant("acme") if each.redirect == "R2"] == [("group:Front desk",)]


def test_a_successor_reads_at_the_same_addresses(house: House) -> None:
    """And whoever left does not; what anyone opens, and what belongs to a group, stays as it is."""
    listed = house.folder / "readers.csv"
    listed.write_text("mailbox,reader\nanna@example.org,group:desk\nbert@example.org,user:bert\n")
    links = [house.share(LinkTerms(each), f"{each}.pdf", readers=listed) for each in Audience]
    house.publisher(readers=listed).inherit("Anna@Example.org", "bert@example.org")
    readers = {each.audience: each.readers for each in house.book.of_tenant("acme")}
    assert readers.pop(Audience.GROUP) == ("group:desk",)
    assert set(readers.values()) == {("bert@example.org", "user:bert")}
    origin = replace(ORIGIN, mailbox="bert@example.org")
    again = house.publisher(readers=listed).share(house.stored("owner.pdf"), LinkTerms(Audience.OWNER), origin)
    assert again in links


def test_old_links_open_for_whom_the_list_names_by_now(house: House) -> None:
    """New members open what is old, and old ones do not; what has ended stays so, and nobody is guessed."""
    listed = house.folder / "readers.csv"
    listed.write_text("mailbox,reader\nanna@example.org,group:old\n")
    for each in Audience:
        house.share(LinkTerms(each), f"{each}.pdf", readers=listed)
    house.publisher(readers=listed).revoke("acme/R1")
    listed.write_text("mailbox,reader\nanna@example.org,group:members of the new one\n")
    house.publisher(readers=listed).readmit()
    before = house.book.of_tenant("acme")
    assert {word for each in before for word in each.readers} == {"anna@example.org", "group:members of the new one"}
    assert all(each.ended for each in before)
    listed.write_text("mailbox,reader\nanna@example.org,user:anna\n")
    house.publisher(readers=listed).readmit()
    readers = {each.audience: each.readers for each in house.book.of_tenant("acme")}
    assert readers.pop(Audience.GROUP) == ("group:members of the new one",)
    assert set(readers.values()) == {("anna@example.org", "user:anna")}


def test_the_list_is_looked_at_with_few_questions(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much was published: one, and one for each mailbox and kind of link that differs."""
    for number in range(50):
        origin = replace(ORIGIN, redirect=f"R{number}", mailbox=f"{number % 2}@example.org")
        house.publisher().share(house.stored("a.pdf"), LinkTerms(Audience.STAFF), origin)
    listed = house.folder / "readers.csv"
    listed.write_text("mailbox,reader\n0@example.org,user:zero\n")
    handed: list[str] = []
    hand_over = house.book.hand_over

    def counted(tenant: str, before: Belonging, now_so: Belonging) -> None:
        handed.append(before.mailbox)
        hand_over(tenant, before, now_so)

    monkeypatch.setattr(house.book, "hand_over", counted)
    assert [house.publisher(readers=listed).readmit() for _ in range(2)] == [True, True]
    assert handed == ["0@example.org"]
    assert sum("user:zero" in each.readers for each in house.book.of_tenant("acme")) == 25


def test_a_list_in_which_much_changes_is_heeded_bit_by_bit(house: House) -> None:
    """The daemon plans for no mailbox meanwhile."""
    for number in range(21):
        origin = replace(ORIGIN, redirect=f"R{number}", mailbox=f"{number}@example.org")
        house.publisher().share(house.stored("a.pdf"), LinkTerms(Audience.STAFF), origin)
    listed = house.folder / "readers.csv"
    listed.write_text("mailbox,reader\n" + "".join(f"{number}@example.org,user:{number}\n" for number in range(21)))
    publisher = house.publisher(readers=listed)
    seen = [(publisher.readmit(), sum(len(each.readers) == 2 for each in house.book.of_tenant("acme"))) for _ in "ab"]
    assert seen == [(False, 20), (True, 21)]


@pytest.mark.parametrize(("status", "says"), [(302, ""), (403, ""), (503, "to their login: its log says why")])
def test_a_login_that_cannot_be_reached_is_found_by_the_check(
    house: House, respx_mock: respx.MockRouter, status: int, says: str
) -> None:
    """Links for anyone go on working, so nobody would look."""
    content = b"Published by `connector check`; may be deleted.\n"
    respx_mock.get(url__regex=r"https://files\.example\.org/a/.*/check\.txt").respond(content=content)
    respx_mock.get("https://files.example.org/r/check").respond(status)
    assert house.publisher().tried().endswith(says)
    assert bool(house.publisher().tried()) == bool(says)
