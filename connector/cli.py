"""The commands. What they do is in the modules; what they answer is in `connector.report`."""

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from connector import __version__, config, decisions, log, report
from connector.amounts import duration
from connector.backfill import Hours, Wish, leave, progress, want
from connector.certify import CLIENTS, certificates
from connector.check import findings, grants
from connector.errors import ConnectorError, Unavailable
from connector.explain import find, known, mailboxes_of, message_id
from connector.ledger import Ledger, LedgerError, Stale
from connector.links import settings as link_settings
from connector.links.scrub import scrub
from connector.log import Event
from connector.model import Redirect, State
from connector.plan.make import Looks, Scope, make, read_departments, with_policy
from connector.plan.page import page
from connector.plan.sums import By
from connector.plan.tables import FEWEST, csv_text, told
from connector.process import alone, clock
from connector.rollout import Readers
from connector.rollout import text as rollout_text
from connector.service import Daemon
from connector.tenants import tenants
from connector.upkeep import Upkeep
from connector.yamlfile import ConfigError

_EPILOG = """
Exit codes: 0 done; 1 something is held, and a human has to decide; 2 the configuration or the command is wrong;
3 a server or the ledger is out of reach; 4 a server refuses: a login or a right is missing; 70 a bug.
"""

app = typer.Typer(
    add_completion=False,
    epilog=_EPILOG,
    help="Moves attachments from Exchange mailboxes into a WebDAV store, and leaves links in the messages.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
links_app = typer.Typer(help="Links that messages show.", no_args_is_help=True)
app.add_typer(links_app, name="links")
ledger_app = typer.Typer(help="The ledger itself.", no_args_is_help=True)
app.add_typer(ledger_app, name="ledger")


class Exit(IntEnum):
    """What a script may rely on."""

    DONE = 0
    HELD = 1
    CONFIGURATION = 2
    UNREACHABLE = 3
    REFUSED = 4
    BUG = 70


def _moment(said: str) -> datetime:
    moment = datetime.fromisoformat(said)
    if moment.tzinfo is None or moment > clock():
        raise ValueError(said)
    return moment


def _future(said: str) -> datetime:
    moment = datetime.fromisoformat(said)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= clock():
        raise ValueError(said)
    return moment.astimezone(UTC)


def _day(said: str) -> datetime:
    return datetime.combine(date.fromisoformat(said), time(), UTC)


def _hours(said: str) -> Hours:
    begin, _, end = said.partition("-")
    hours = Hours(int(begin), int(end))
    if not all(0 <= each < 24 for each in (hours.begin, hours.end)):  # noqa: PLR2004 - hours of a day
        raise ValueError(said)
    return hours


def _days(said: str) -> timedelta:
    return duration(said)


Json = Annotated[bool, typer.Option("--json", help="Answer with one line of JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The id of the redirect, as `connector held` shows it.")]
Message = Annotated[
    str,
    typer.Argument(
        help="Message-ID, id in the mailbox or of a redirect, a link, a path in the store, or an .eml file."
    ),
]
Only = Annotated[
    str | None,
    typer.Option("--mailbox", help="Look into this one; else into those of its redirects, or, where it has none, all."),
]
Mail = Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="Folder with .eml files of your own.")]
MailBoxes = Annotated[Path, typer.Option("--mail", help="Folder of mailboxes: anna@example.org/[Folder/]*.eml.")]
Wanted = Annotated[str | None, typer.Argument(help="Message-ID, id of a redirect, or path of an .eml file.")]
Rule = Annotated[str | None, typer.Option(help="Only messages with files that this rule moved.")]
All = Annotated[bool, typer.Option("--everything", help="All of them.")]
Moment = Annotated[datetime | None, typer.Option(help="Bounds when it was redirected: `date -Is`.", parser=_moment)]
Begun = Annotated[
    datetime, typer.Argument(metavar="BEGUN", help="When the backup began, as `date -Is` told then.", parser=_moment)
]
Decision = Callable[[Redirect, Ledger, datetime, str], Redirect]


def main() -> None:
    """Run one command, and end the process with one of `Exit`. Whatever fails, the user reads sentences."""
    log.configure()
    try:
        app()
    except ConfigError as error:
        _fail(Exit.CONFIGURATION, *error.problems)
    except (LedgerError, Stale, Unavailable) as error:
        _fail(Exit.UNREACHABLE, str(error))
    except ConnectorError as error:
        _fail(Exit.REFUSED, str(error))
    except Exception as error:  # noqa: BLE001 - the traceback goes to the log, the user gets a sentence
        log.log.exception(Event.BUG)
        _fail(
            Exit.BUG, f"connector: this is a bug ({type(error).__name__}); the log above says where. Nothing is lost."
        )


def _fail(code: Exit, *sentences: str) -> None:
    print(*sentences, sep="\n", file=sys.stderr)  # noqa: T201 - for the user, beside the log
    sys.exit(code)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _settings(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--config", envvar="CONNECTOR_CONFIG", help="Folder of connector.yaml and tenants/.")
    ] = Path("/etc/connector"),
    *,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")] = False,
) -> None:
    context.obj = folder


# --- the work -----------------------------------------------------------------------------------------------------


@app.command()
def once(context: typer.Context, *, as_json: Json = False) -> None:
    """Give every mailbox its turn until nothing is due now, and sum up."""
    with _daemon(context) as (daemon, ledger):
        daemon.once()
        _sum_up(ledger, as_json=as_json)


@app.command()
def run(context: typer.Context) -> None:
    """Work until SIGTERM: no new step begins, and the current ones finish. SIGHUP reads the configuration anew."""
    with _daemon(context) as (daemon, _):
        daemon.run(partial(config.reload, context.obj))


@app.command()
def sweep(context: typer.Context, *, as_json: Json = False) -> None:
    """Delete stored copies that no message ever showed, and let end what a retention ends; `run` does it once a day."""
    with _daemon(context) as (daemon, _):
        swept = daemon.sweep()
    report.tell({"swept": swept}, f"{swept} redirects were swept.", as_json=as_json)


@ledger_app.command()
def reconcile(context: typer.Context, *, as_json: Json = False) -> None:
    """Take over what the store knows and the ledger does not: after a restored backup. Stop every daemon first."""
    with _daemon(context) as (daemon, _):
        told = daemon.reconcile()
    sentence = f"{told.taken_over} redirects were taken over."
    if told.refused:
        sentence += (
            f" {told.refused} manifests were refused: they are not as connector wrote them, the log names them. Bring"
            " them back from the store's backup and call this again; until then their messages and files stay as they"
            " are. Whoever may write to the store may have changed them, or `marker_key` is another one by now."
        )
    report.tell(asdict(told), sentence, as_json=as_json)
    raise typer.Exit(Exit.HELD if told.refused else Exit.DONE)


@ledger_app.command()
def backup(context: typer.Context, file: Annotated[Path, typer.Argument(help="A file that is not there yet.")]) -> None:
    """Copy the ledger as it is now into a file; the daemon may be at work. README, "Back up", tells the way back."""
    with _ledger(context) as ledger:
        try:
            ledger.back_up(file)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    typer.echo(f"The ledger was copied into {file}.")


@links_app.command("serve")
def serve_links(context: typer.Context) -> None:
    """The pages that links open, until SIGTERM: by links.yaml alone, as a user of their own."""
    from connector.links.server import serve  # noqa: PLC0415 - no other command needs a web server

    settings = _link_settings(context)
    serve(settings)


@links_app.command("scrub")
def scrub_links(context: typer.Context, *, as_json: Json = False) -> None:
    """Read all files that links open, and tell which are not what was published: for every night."""
    told = scrub(_link_settings(context), clock)
    sentence = f"{told.right} files are right, {told.corrupt} are not what was published, {told.unread} were not read."
    report.tell(asdict(told), sentence, as_json=as_json)
    raise typer.Exit(Exit.HELD if told.corrupt else Exit.UNREACHABLE if told.unread else Exit.DONE)


def _link_settings(context: typer.Context) -> link_settings.LinkSettings:
    settings = link_settings.load(context.obj)
    log.configure(settings.log.format, settings.log.level)
    return settings


# --- looking ------------------------------------------------------------------------------------------------------


@app.command()
def check(context: typer.Context, *, as_json: Json = False) -> None:
    """Try everything that the daemon needs: configuration, secrets, ledger, stores, mailboxes."""
    with _everything(context) as (whole, ledger):
        known = tenants(whole)
        found = list(findings(known, ledger, _user()))
    report.tell_rows("Tried", [asdict(each) for each in found], as_json=as_json)
    for line in grants(known):
        typer.echo(line, err=True)
    raise typer.Exit(max(_CODES[each.severity] for each in found))


@app.command()
def certify(
    context: typer.Context,
    *,
    with_clients: Annotated[
        bool, typer.Option("--with-clients", help="Stop for a look at Outlook and phones, and ask how it went.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Redirect and restore messages in the probe mailbox, compare all their properties, and record how it went."""

    def ask(what: str) -> bool:
        return not with_clients or typer.confirm(f"{what} Is all well?", err=True)

    if with_clients:
        typer.echo(report.by_hand(CLIENTS), err=True)
    with _everything(context) as (whole, ledger):
        found = list(certificates(tenants(whole), ledger, _user(), ask))
    report.tell_certificates(found, CLIENTS, as_json=as_json)
    raise typer.Exit(max(_CODES[each.finding.severity] for each in found))


@app.command()
def plan(
    context: typer.Context,
    last: Annotated[timedelta, typer.Option(help="Mail of so many days: 30d.", parser=_days)] = timedelta(days=30),
    *,
    whole: Annotated[bool, typer.Option("--whole", help="All that is in the mailboxes, however old.")] = False,
    source: Annotated[list[str] | None, typer.Option(help="Only this mailbox; may be given several times.")] = None,
    by: Annotated[By, typer.Option(help="What the table has a line for.")] = By.RULE,
    departments: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A CSV file: mailbox,department.")
    ] = None,
    diff: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Another file of the tenant: what it changes.")
    ] = None,
    to_csv: Annotated[
        Path | None, typer.Option("--csv", dir_okay=False, help="Write all lines into this file.")
    ] = None,
    to_html: Annotated[
        Path | None, typer.Option("--html", dir_okay=False, help="Write a page with charts into this file.")
    ] = None,
    named: Annotated[bool, typer.Option("--named", help="Tell of single people too; it is written down.")] = False,
    reason: Annotated[str, typer.Option(help="Why people are looked at by name.")] = "",
    as_json: Json = False,
) -> None:
    """What the policy would do to the mail that is there, without a change to any mailbox or store."""
    if named and not reason.strip():
        raise typer.BadParameter("--named looks at people by name: say why with --reason, it is written down")
    other = config.load_tenant(diff) if diff else None
    with _everything(context) as (whole_config, ledger), _told():
        scope = Scope(
            now=clock(),
            begin=None if whole else clock() - last,
            departments=read_departments(departments) if departments else {},
            other=with_policy(other) if other else None,
            threads=whole_config.settings.threads,
        )
        known = [each for each in tenants(whole_config) if other is None or each.name == other.tenant]
        looks = [Looks.at(each, source or ()) for each in known]
        looks = [each for each in looks if each.watches]
        if not looks:
            raise ValueError("no such mailbox is configured")
        if not named and any(len(each.watches) < FEWEST for each in looks):
            raise ValueError("of fewer than five people, nothing is told without --named and --reason")
        for each in looks if named else ():
            ledger.note(each.tenant, Event.PLAN_NAMED, clock(), by=_user(), reason=reason, mailboxes=len(each.watches))
        plans = [told(make(each, ledger, scope), named=named) for each in looks]
    for path, text in ((to_csv, csv_text), (to_html, page)):
        if path:
            path.write_text(text(plans), encoding="utf-8")
    report.tell_plans(plans, by, as_json=as_json)
    raise typer.Exit(Exit.UNREACHABLE if any(each["not_looked_at"] for each in plans) else Exit.DONE)


@app.command()
def explain(
    context: typer.Context,
    message: Message,
    mailbox: Only = None,
    *,
    reason: Annotated[str, typer.Option(help="Why somebody's mail is looked into: it is written down.")],
    as_json: Json = False,
) -> None:
    """Why the attachments of a message are where they are: verdict, rule, reason, and what happened so far."""
    with _everything(context) as (whole, ledger):
        with _told():
            said = message_id(message)
            if not reason.strip():
                raise ValueError("say why with --reason: it is written down")
        redirects = known(said, ledger)
        addresses = {mailbox} if mailbox else mailboxes_of(redirects, ledger)
        known_tenants = tenants(whole)
        for tenant in known_tenants:
            tenant.look_up()
        watches = [each.watch() for tenant in known_tenants for each in tenant.mailboxes]
        wanted = [each for each in watches if not addresses or each.source.address in addresses]
        found = list(find(said, redirects, wanted, ledger, clock()))
        # Before anything is told: who looks and is cut off has looked.
        looked = {(each.watch.tenant, each.watch.name) for each in found} or {(each.tenant, "") for each in wanted}
        for tenant_name, source in sorted(looked):
            ledger.note(tenant_name, Event.MESSAGE_EXPLAINED, clock(), source=source, by=_user(), reason=reason)
        report.tell_explanation(found, redirects, ledger, clock(), as_json=as_json)


@app.command()
def rollout(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(help="The name of the tenant.")],
    *,
    language: Annotated[str, typer.Option(help="de, en, fr or nl.")],
    readers: Annotated[Readers, typer.Option("--for", help="Who is to read it.")],
) -> None:
    """A text that tells people what changes, filled in with what is configured; from rollout/ beside connector.yaml."""
    whole = config.load(context.obj)
    found = next((each for each in whole.tenants if each.tenant == tenant), None)
    if found is None:
        known = ", ".join(each.tenant for each in whole.tenants)
        raise ConfigError(f"there is no tenant {tenant!r}, only {known}")
    typer.echo(rollout_text(context.obj, found, whole.settings, readers, language), nl=False)


@app.command()
def status(context: typer.Context, *, as_json: Json = False) -> None:
    """How far each mailbox is, and what waits for what. Asks the ledger only."""
    with _ledger(context) as ledger:
        _sum_up(ledger, as_json=as_json)


@app.command()
def held(context: typer.Context, *, as_json: Json = False) -> None:
    """The redirects that wait for a human, with their reasons. Asks the ledger only."""
    with _ledger(context) as ledger:
        found = report.redirects(ledger.redirects(state=State.HELD))
    report.tell_rows("Held: `connector release ID` or `connector drop ID`", found, as_json=as_json)
    raise typer.Exit(Exit.HELD if found else Exit.DONE)


# --- deciding -----------------------------------------------------------------------------------------------------


@app.command()
def release(context: typer.Context, redirect_id: Id, *, as_json: Json = False) -> None:
    """Let a held redirect go on where it stood. Asks the ledger only."""
    _decide(context, decisions.release, redirect_id, as_json=as_json)


@app.command()
def drop(context: typer.Context, redirect_id: Id, *, as_json: Json = False) -> None:
    """End a held redirect: its message stays as it is, for ever. Asks the ledger only."""
    _decide(context, decisions.drop, redirect_id, as_json=as_json)


@app.command()
def restore(
    context: typer.Context,
    message: Wanted = None,
    mailbox: Only = None,
    *,
    rule: Rule = None,
    since: Moment = None,
    until: Moment = None,
    everything: All = False,
    revoke: Annotated[
        bool, typer.Option(help="The links open nothing afterwards, where the store can do that.")
    ] = False,
    per_hour: Annotated[
        int, typer.Option(min=1, help="Messages an hour and mailbox, once the first 100 of each are back.")
    ] = decisions.Pace().per_hour,
    as_json: Json = False,
) -> None:
    """Want attachments back in their messages; all that is named has to hold. The daemon, or `once`, does it."""
    pace = decisions.Pace(per_hour=per_hour)
    with _ledger(context) as ledger, _told():
        wanted = decisions.Wanted(message and message_id(message), mailbox, rule, since, until)
        if wanted == decisions.Wanted() and not everything:
            raise ValueError("say what to restore, or --everything")
        recalled = decisions.restore(wanted, ledger, clock(), _user(), pace=pace, revoke=revoke)
    report.tell_recalled(recalled, as_json=as_json)


@app.command()
def backfill(
    context: typer.Context,
    source: Annotated[str | None, typer.Option(help="Only this mailbox or share; else all that are watched.")] = None,
    *,
    biggest: Annotated[bool, typer.Option("--biggest/--newest", help="Which messages go first.")] = False,
    since: Annotated[datetime | None, typer.Option(help="Nothing older: 2020-01-31.", parser=_day)] = None,
    hours: Annotated[
        Hours | None, typer.Option(help="Only from one hour to another: 20-06.", parser=_hours, metavar="FROM-TO")
    ] = None,
    per_hour: Annotated[int, typer.Option(min=1, help="Messages an hour and mailbox.")] = Wish().per_hour,
    pause: Annotated[bool, typer.Option("--pause", help="Leave it for now.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with it.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Only tell how far it is.")] = False,
    as_json: Json = False,
) -> None:
    """Want what is older than first contact to be treated by the policy too. The daemon does it, or `once`."""
    if pause + resume + status > 1:
        raise typer.BadParameter("give one of --pause, --resume and --status")
    with _ledger(context) as ledger, _told():
        if pause or resume:
            leave(source, ledger, clock(), _user(), paused=pause)
        elif not status:
            wish = Wish(biggest=biggest, since=since, hours=hours or Hours(0, 0), per_hour=per_hour)
            want(wish, source, ledger, clock(), _user())
        report.tell_rows("Backfill", [asdict(each) for each in progress(ledger, clock())], as_json=as_json)


@links_app.command(name="list")
def list_links(
    context: typer.Context, message: Wanted = None, mailbox: Only = None, *, rule: Rule = None, as_json: Json = False
) -> None:
    """What messages show, whom it opens for, and until when."""
    with _links(context, message, mailbox, rule, everything=True) as (wanted, links):
        found = [asdict(each) for each in links.shown(wanted)]
    report.tell_rows("Links", found, as_json=as_json)


@links_app.command()
def revoke(
    context: typer.Context,
    message: Wanted = None,
    mailbox: Only = None,
    *,
    rule: Rule = None,
    everything: All = False,
    as_json: Json = False,
) -> None:
    """End links: they open nothing any more. The messages still show them; see `relink` and `restore`."""
    with _links(context, message, mailbox, rule, everything=everything) as (wanted, links):
        done = links.revoke(wanted)
    report.tell({"revoked": done}, f"The links of {done} messages open nothing any more.", as_json=as_json)


@links_app.command()
def extend(
    context: typer.Context,
    message: Wanted = None,
    mailbox: Only = None,
    *,
    rule: Rule = None,
    everything: All = False,
    until: Annotated[
        datetime | None, typer.Option(parser=_future, help="When they end: 2027-06-30. Left out: never.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let links of our own service open longer, also those that have ended. Messages go on saying the old end."""
    with _links(context, message, mailbox, rule, everything=everything) as (wanted, links):
        done = links.extend(wanted, until)
    end = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "for ever"
    report.tell({"extended": done, "until": until}, f"The links of {done} messages open {end}.", as_json=as_json)


@links_app.command()
def relink(
    context: typer.Context,
    message: Wanted = None,
    mailbox: Only = None,
    *,
    rule: Rule = None,
    everything: All = False,
    as_json: Json = False,
) -> None:
    """End links, and show others in their messages: after one has leaked. The daemon, or `once`, shows them."""
    with _links(context, message, mailbox, rule, everything=everything) as (wanted, links):
        done = links.relink(wanted)
    report.tell({"relinked": done}, f"{done} messages will show other links.", as_json=as_json)


@links_app.command()
def password(context: typer.Context, message: Wanted, *, as_json: Json = False) -> None:
    """Tell the password of a link, for whoever asks the service desk. It is noted who asked."""
    with _links(context, message, None, None, everything=False) as (wanted, links):
        found = links.passwords(wanted)
    rows = [{"link": link, "password": told} for link, told in found.items()]
    report.tell_rows("Tell it on another way than the link", rows, as_json=as_json)


@contextmanager
def _links(
    context: typer.Context, message: str | None, mailbox: str | None, rule: str | None, *, everything: bool
) -> Iterator[tuple[decisions.Wanted, Upkeep]]:
    with _everything(context) as (whole, ledger), _told():
        wanted = decisions.Wanted(message and message_id(message), mailbox, rule)
        if wanted == decisions.Wanted() and not everything:
            raise ValueError("say which messages, or --everything")
        yield wanted, Upkeep(tenants(whole), ledger, clock(), _user())


@app.command()
def leaver(
    context: typer.Context,
    mailbox: Annotated[str, typer.Argument(help="The mailbox of whoever leaves.")],
    *,
    successor: Annotated[str, typer.Option(help="The mailbox of whoever takes over.")],
    as_json: Json = False,
) -> None:
    """Let the files and links of a mailbox belong to another's people; no address changes."""
    with _everything(context) as (whole, ledger), _told():
        went = Upkeep(tenants(whole), ledger, clock(), _user()).succeed(mailbox, successor)
    sentence = f"What belonged to {', '.join(went)} belongs to {successor}, at the same addresses."
    report.tell({"mailboxes": went, "successor": successor}, sentence, as_json=as_json)


@app.command()
def backup_mark(context: typer.Context, begun: Begun, *, as_json: Json = False) -> None:
    """Say that a backup of the store has ended well: what was copied before it began need not settle any longer."""
    with _ledger(context) as ledger:
        settled = decisions.backed_up(ledger, begun.astimezone(UTC), clock(), _user())
    report.tell({"settled": settled}, f"{settled} redirects need not wait any longer.", as_json=as_json)


def _decide(context: typer.Context, decide: Decision, redirect_id: str, *, as_json: bool) -> None:
    with _ledger(context) as ledger:
        found = ledger.redirect(redirect_id)
        if found is None:
            raise typer.BadParameter(f"the ledger knows no redirect {redirect_id}")
        with _told():
            decided = decide(found, ledger, clock(), _user())
    report.tell_rows("", report.redirects([decided]), as_json=as_json)


def _user() -> str:
    """Who decides, for the events: the person behind sudo, where there is one."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


@contextmanager
def _told() -> Iterator[None]:
    """What an argument cannot mean is the user's to put right."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


# --- trying it out ------------------------------------------------------------------------------------------------


@app.command()
def demo(
    mail: Mail = None,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up, and say where.")] = False,
) -> None:
    """See it work: simulated mailboxes and Teams, a WebDAV store, sample mail, a crash in the middle."""
    with _extra():
        from connector.demo import demo as show  # noqa: PLC0415 - an extra that a daemon does without
    raise typer.Exit(Exit.DONE if show(mail, keep=keep) else Exit.HELD)


@app.command()
def simulate(mail: MailBoxes, port: Annotated[int, typer.Option(min=0, max=65535)] = 0) -> None:
    """A simulated Exchange on localhost, until SIGTERM. Prints its addresses and accounts as one line of JSON."""
    with _extra():
        from connector.simulator import simulate as run_exchange  # noqa: PLC0415 - an extra that a daemon does without
    try:
        run_exchange(mail, port)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"the module {error.name} is missing: pip install 'connector[demo]'") from None


# --- what commands stand on ---------------------------------------------------------------------------------------


@contextmanager
def _everything(context: typer.Context) -> Iterator[tuple[config.Config, Ledger]]:
    """The whole configuration, and the ledger."""
    whole = config.load(context.obj)
    with _opened(whole.settings) as ledger:
        yield whole, ledger


@contextmanager
def _daemon(context: typer.Context) -> Iterator[tuple[Daemon, Ledger]]:
    """All that works for the tenants, while no other process does."""
    with _everything(context) as (whole, ledger), alone(whole.settings.state) as owner:
        yield Daemon(whole, ledger, owner), ledger


@contextmanager
def _ledger(context: typer.Context) -> Iterator[Ledger]:
    """The ledger alone: what looks only into it works while every server is down, and every tenant file broken."""
    with _opened(config.load_settings(context.obj)) as ledger:
        yield ledger


@contextmanager
def _opened(settings: config.Settings) -> Iterator[Ledger]:
    log.configure(settings.log.format, settings.log.level)
    with closing(Ledger(settings.ledger_url)) as ledger:
        yield ledger


def _sum_up(ledger: Ledger, *, as_json: bool) -> None:
    summary = report.summary(ledger, clock())
    report.tell_summary(summary, as_json=as_json)
    codes = [_PAUSED.get(each["error"], Exit.REFUSED) for each in summary["paused"]]
    if any(each["held"] for each in summary["mailboxes"]):
        codes.append(Exit.HELD)
    raise typer.Exit(max(codes, default=Exit.DONE))


_CODES = {
    "fine": Exit.DONE,
    "stopped": Exit.HELD,
    "exposed": Exit.HELD,
    "unreachable": Exit.UNREACHABLE,
    "refused": Exit.REFUSED,
}
#: What a pause means, by the error that it came from.
_PAUSED = {
    "Unavailable": Exit.UNREACHABLE,
    "Foreign": Exit.HELD,
    "Clock": Exit.HELD,
    "Unproved": Exit.HELD,
    "Unread": Exit.HELD,
    "Exhausted": Exit.DONE,
    "Unknown": Exit.DONE,
    "Full": Exit.HELD,
}


if __name__ == "__main__":
    main()
