"""What a visitor reads while the demo plays. Texts from mail are shown as they are, never as markup."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from connector.demo import observer
from connector.demo.judge import Before, Outcome, Undone, Whereabouts
from connector.demo.once import Tell
from connector.demo.world import CHANNEL, CHATTER, PROBE, TEAM, Place, World
from connector.names import plain

_INDENT = "   "


class Screen:
    """Standard output, on a terminal with colours and a line that moves."""

    def __init__(self) -> None:
        self._console = Console(markup=False, highlight=False)

    @contextmanager
    def busy(self, doing: str) -> Iterator[Tell]:
        """While something takes its time. What is told of the server's requests is shown as progress."""
        with self._console.status(doing) as status:
            yield lambda asked: status.update(f"{doing}: {_progress(asked)}")

    def introduce(self, world: World, before: Before) -> None:
        """What is up."""
        files = sum(len(each.files) for each in before.seen.values())
        mailboxes = _count(sum(map(len, world.mailboxes.values())), "mailbox", "mailboxes")
        self._title("connector demo")
        self._facts(
            {
                "Exchange": f"simulated, {world.exchange.ews}",
                "Microsoft 365": f"simulated, {world.exchange.graph}",
                "Store": f"WsgiDAV, {world.store.url}",
                "Links": f"pages of our own, {world.pages}",
                "Mail": f"{_count(len(world.letters), 'message')} with {_count(files, 'attachment')} in {mailboxes}",
                "Teams": f"{_count(len(before.shared), 'file')} in a channel and a chat",
                "Configuration": str(world.config),
            }
        )

    def proved(self, code: int) -> None:
        """How the trials went that come before anything is redirected."""
        self._title("0  `connector certify` and `connector check`, as before any first run")
        well = (
            "In mailboxes for trials, messages were redirected, restored and compared; in a channel for trials, a file "
            "was recycled and put back."
        )
        self._say(f"They ended with exit code {code}." if code else well)

    def killed(self, found: Whereabouts | None) -> None:
        """How the first run ended; None where it could not be killed in time."""
        self._title("1  `connector once`, killed with SIGKILL in the middle of a step")
        if found is None:
            self._say("It had ended before it could be killed.")
            return
        self._say(
            f"The originals at this moment: {found.here} where they were, {found.linked} behind links that stand in "
            f"their place and give the same bytes, {found.lost} lost."
        )

    def completed(self, code: int) -> None:
        """How the second run ended."""
        self._title("2  `connector once`, again")
        self._say("It took up what was left, and completed." if code == 0 else f"It ended with exit code {code}.")

    def table(self, outcomes: Sequence[Outcome]) -> None:
        """What became of each message and of each shared file."""
        self._title("3  What became of each message, and of each file in Teams")
        table = _table()
        table.add_column("", no_wrap=True, overflow="ellipsis", max_width=34)
        table.add_column("Files", justify="right", no_wrap=True)
        table.add_column("What became of them")
        for place in Place:
            here = [each for each in outcomes if each.place is place]
            if here:
                table.add_row(Text(place, style="bold"))
            for each in here:
                table.add_row(Text(f"  {plain(each.subject) or '(no subject)'}"), str(each.files or ""), _after(each))
        self._say(table)

    def verdict(self, world: World, outcomes: Sequence[Outcome], problems: Sequence[str]) -> None:
        """Whether all is right, as seen from outside."""
        self._title("4  Side by side, checked from outside: by EWS and Graph, the links by HTTP")
        sorts = {place: [each for each in outcomes if each.place is place] for place in Place}
        rows = {
            "Files before": {place: sum(each.files for each in here) for place, here in sorts.items()},
            "link instead": {place: sum(each.redirected for each in here) for place, here in sorts.items()},
            "copied": {place: sum(each.copied for each in here) for place, here in sorts.items()},
            "left alone": {place: sum(map(_left, here)) for place, here in sorts.items()},
            "wrong": {place: sum(bool(each.problems) for each in here) for place, here in sorts.items()},
        }
        self._say(_side_by_side(world, rows))
        if problems:
            self._complain(problems)
            return
        messages = [each for each in outcomes if each.place in (Place.ON_PREMISES, Place.ONLINE)]
        files = [each for each in outcomes if each not in messages]
        links, pointers = sum(each.redirected for each in messages), sum(each.redirected for each in files)
        rewritten = sum(each.redirected > 0 for each in messages)
        self._console.print()
        self._say(f"{_count(links, 'link')} opened, as anyone or with a login: SHA-256 as in the .eml files.")
        self._say(f"{_count(rewritten, 'message')} show them: outside of the notice, not a character has changed.")
        self._say(f"{_count(len(messages) - rewritten, 'message')} were to be left alone, and are untouched.")
        copies = _count(sum(each.copied for each in files), "copy", "copies")
        self._say(f"{_count(pointers, 'pointer')} opened, {copies} read in the store: SHA-256 as in Teams before.")

    def undone(self, world: World, undone: Sequence[Undone], problems: Sequence[str]) -> None:
        """Whether every message and every shared file is what it was."""
        self._title("5  `connector restore --everything`, and `connector once`")
        rows = {
            "Files before": {place: sum(each.files for each in undone if each.place is place) for place in Place},
            "as before": {
                place: sum(each.files for each in undone if each.place is place and not each.problems)
                for place in Place
            },
        }
        self._say(_side_by_side(world, rows))
        if problems:
            self._complain(problems)
            return
        self._console.print()
        self._say("Every message has its text and its attachments again, byte for byte.")
        self._say("Every file in Teams is in its place again, byte for byte; no pointer is left.")

    def end(self, problems: Sequence[str], folder: Path, log: Path) -> None:
        """The last word; where to look for the reasons if not all went right."""
        if not problems:
            self._console.print("\nAll is right.", style="bold green")
            return
        self._console.print("\nNot all is right.", style="bold red")
        self._facts({"Log of the runs": str(log), "All the rest": str(folder)})

    def addresses(self, world: World) -> None:
        """Where everything is while it stays up."""
        self._title("Everything stays up until Ctrl-C")
        # Those in the cloud are opened by the app.
        here = {*world.mailboxes[Place.ON_PREMISES], PROBE}
        logins = {
            login["mailbox"]: f"user {login['user']}, password {login['password']}"
            for login in world.exchange.accounts
            if login["mailbox"] in here
        }
        link = next(observer.for_anyone(world), "")
        store, app = world.store, world.exchange.client
        self._facts(
            {
                "EWS": world.exchange.ews,
                "Graph": world.exchange.graph,
                "App": f"tenant {world.exchange.tenant}, id {app['id']}, secret {app['secret']}",
                "Token": world.exchange.token,
                **logins,
                **({"A link for anyone": link} if link else {}),
                "Store": f"{store.url}, user {store.user}, password {store.password}",
                "Configuration": f"{world.config}: try `connector --config {world.config} status`",
                "Ledger": str(world.folder / "state" / "ledger.db"),
            }
        )

    def _complain(self, problems: Sequence[str]) -> None:
        for problem in problems:
            self._say(Text(f"- {problem}", style="red"))

    def _title(self, sentence: str) -> None:
        self._console.print(f"\n{sentence}", style="bold")

    def _say(self, what: RenderableType) -> None:
        self._console.print(Padding(what, (0, 0, 0, len(_INDENT)), expand=False))

    def _facts(self, facts: Mapping[str, str]) -> None:
        for name, fact in facts.items():
            # Never broken: addresses and paths are there to be copied.
            self._console.print(f"{_INDENT}{name:<{max(map(len, facts))}}  {fact}", soft_wrap=True)


def _progress(asked: Mapping[str, int]) -> str:
    read = asked["GetAttachment"] + asked["GET attachments/$value"] + asked["GET download"]
    rewritten = asked["UpdateItem"] + asked["PATCH messages"]
    removed = asked["DeleteAttachment"] + asked["DELETE attachments"] + asked["DELETE items"]
    return f"{read} files read, {rewritten} messages rewritten, {removed} originals removed"


def _table() -> Table:
    return Table(padding=(0, 2, 0, 0), box=None, header_style="bold", pad_edge=False)


def _side_by_side(world: World, rows: Mapping[str, Mapping[Place, int]]) -> Table:
    """A column for each place."""
    table = _table()
    table.add_column("", no_wrap=True)
    for place, where in _where(world).items():
        table.add_column(f"{place}\n{where}", no_wrap=True, overflow="ellipsis", max_width=17)
    for name, numbers in rows.items():
        style = "red" if name == "wrong" and any(numbers.values()) else ""
        table.add_row(name, *(str(numbers[place]) for place in Place), style=style)
    return table


def _where(world: World) -> dict[Place, str]:
    mailboxes = {
        place: addresses[0] if len(addresses) == 1 else _count(len(addresses), "mailbox", "mailboxes")
        for place, addresses in world.mailboxes.items()
    }
    return {**mailboxes, Place.CHANNEL: f"{TEAM}/{CHANNEL}", Place.CHAT: f"of {CHATTER.partition('@')[0]}"}


def _left(outcome: Outcome) -> int:
    return outcome.files - outcome.redirected - outcome.copied


def _after(outcome: Outcome) -> Text:
    text = Text()
    if outcome.redirected:
        text.append(f"{outcome.redirected} redirected", style="green")
    if outcome.copied:
        text.append(f"{outcome.copied} copied; stays where it is", style="green")
    for reason in outcome.reasons:
        text.append("; " if text else "")
        text.append(f"kept: {reason}", style="dim")
    return text


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
