"""What a visitor reads while the demo plays. Texts from mail are shown as they are, never as markup."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from connector.demo.judge import Before, Outcome, Whereabouts
from connector.demo.once import Tell
from connector.demo.world import World
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
        mailboxes = _count(len(world.mailboxes), "mailbox", "mailboxes")
        self._title("connector demo")
        self._facts(
            {
                "Exchange": f"simulated, {world.exchange.ews}",
                "Store": f"WsgiDAV, {world.store.url}",
                "Mail": f"{_count(len(world.letters), 'message')} with {_count(files, 'attachment')} in {mailboxes}",
                "Configuration": str(world.config),
            }
        )

    def proved(self, code: int) -> None:
        """How the trials went that come before anything is redirected."""
        self._title("0  `connector certify` and `connector check`, as before any first run")
        well = "In a mailbox for trials, messages were redirected, restored and compared."
        self._say(f"They ended with exit code {code}." if code else well)

    def killed(self, found: Whereabouts | None) -> None:
        """How the first run ended; None where it could not be killed in time."""
        self._title("1  `connector once`, killed with SIGKILL in the middle of a step")
        if found is None:
            self._say("It had ended before it could be killed.")
            return
        self._say(
            f"Where the originals are at this moment: {found.here} in their messages, {found.linked} behind links that "
            f"their messages show and that give the same bytes, {found.lost} lost."
        )

    def completed(self, code: int) -> None:
        """How the second run ended."""
        self._title("2  `connector once`, again")
        self._say("It took up what was left, and completed." if code == 0 else f"It ended with exit code {code}.")

    def table(self, outcomes: Sequence[Outcome]) -> None:
        """What became of each message."""
        self._title("3  What became of each message")
        table = Table(padding=(0, 2, 0, 0), box=None, header_style="bold", pad_edge=False)
        table.add_column("Message", no_wrap=True, overflow="ellipsis", max_width=34)
        table.add_column("Before", justify="right", no_wrap=True)
        table.add_column("After")
        for each in outcomes:
            table.add_row(Text(plain(each.subject) or "(no subject)"), str(each.files or ""), _after(each))
        self._say(table)

    def verdict(self, outcomes: Sequence[Outcome], problems: Sequence[str]) -> None:
        """Whether all is right, as seen from outside."""
        self._title("4  Checked from outside: the mailboxes by EWS, the links by HTTP")
        redirected = sum(each.redirected for each in outcomes)
        rewritten = sum(each.redirected > 0 for each in outcomes)
        if problems:
            self._complain(problems)
            return
        self._say(f"{_count(redirected, 'link')} opened with the login of the store: SHA-256 as in the .eml files.")
        self._say(f"{_count(rewritten, 'message')} show them: outside of the notice, not a character has changed.")
        self._say(f"{_count(len(outcomes) - rewritten, 'message')} were to be left alone, and are untouched.")

    def undone(self, problems: Sequence[str]) -> None:
        """Whether every message is what it was."""
        self._title("5  `connector restore --everything`, and `connector once`")
        if problems:
            self._complain(problems)
        else:
            self._say("Every message has its text and its attachments again, byte for byte.")

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
        logins = {
            login["mailbox"]: f"user {login['user']}, password {login['password']}" for login in world.exchange.accounts
        }
        store = world.store
        self._facts(
            {
                "EWS": world.exchange.ews,
                **logins,
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
    return (
        f"{asked['GetAttachment']} attachments read, {asked['UpdateItem']} messages rewritten, "
        f"{asked['DeleteAttachment']} pruned"
    )


def _after(outcome: Outcome) -> Text:
    text = Text()
    if outcome.redirected:
        text.append(f"{outcome.redirected} redirected", style="green")
    for reason in outcome.reasons:
        text.append("; " if text else "")
        text.append(f"kept: {reason}", style="dim")
    return text


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
