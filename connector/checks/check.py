"""What would keep the daemon from its work, found out by doing it: one finding for each thing that was tried."""

import io
import secrets
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from connector.amounts import about, counted
from connector.checks import machine
from connector.checks.finding import Finding, Severity
from connector.checks.probe import Probe, try_put_back, try_put_back_file
from connector.checks.reach import reached, servers
from connector.config.loading import MailConfig, ShareConfig
from connector.daemon.process import clock
from connector.daemon.tenants import Tenant
from connector.endpoint import InUse
from connector.errors import ConnectorError, Corrupt, Denied, Edited, FileGone, Gone, Rejected, Unavailable
from connector.flow.admission import of_nobody
from connector.flow.manifest import put_bytes
from connector.flow.timekeeping import ClockInDoubt, compare
from connector.flow.turn import MAKE_ROOM
from connector.ledger import Ledger, LedgerError, Proved
from connector.log import Event
from connector.model import Proof, Redirect, Stored
from connector.pauses import TenantPause
from connector.policy.values import fold
from connector.scanners import Scanner
from connector.sources import Source
from connector.spool import spooled
from connector.stores import Store

#: What every scanner finds, and does no harm (eicar.org). Put together here: as a whole it would be found in this file.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
#: So many redirects are looked at for what was stored last.
_LAST = 5
_PAGES = "systemctl restart connector-links.service"
_CONSENT = "Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId OBJECT-ID"


def findings(tenants: tuple[Tenant, ...], ledger: Ledger, state: Path, by: str) -> Iterator[Finding]:
    """Try this machine, the ledger, every server and mailbox, and on the probes whether what is taken out comes back.

    The configuration itself, its templates and its tests were checked when it was loaded. `state` is the folder of the
    ledger; `by` stands in the record of what was proved.
    """
    yield from machine.room(state)
    yield from machine.units()
    yield _ledger(ledger)
    if ledger.copies_itself:
        yield machine.copies(ledger, clock())
    for tenant in tenants:
        for field, server in servers(tenant.config):
            yield reached(f"{tenant.name}: the way to {server.host}", field, server, clock())
        yield _generation(tenant, ledger)
        stored = _store(tenant)
        yield stored
        if stored.severity == "fine":
            yield _clock(tenant)
            yield _free(tenant)
            yield _newest(tenant, ledger)
            yield from _remarks(tenant)
            if tenant.config.links:
                yield _links(tenant)
        if tenant.scanner:
            yield _scanner(tenant, tenant.scanner)
        yield from _directory(tenant)
        yield from _holds(tenant)
        for entry in tenant.config.sources:
            if isinstance(entry, ShareConfig):
                yield from _shares(tenant, entry, ledger, by, stored)
                continue
            opened = list(_mailboxes(tenant, entry, stored))
            yield from opened
            # Where no mailbox opens, more logins could lock the account.
            if any(each.severity == "fine" for each in opened):
                yield from _outside(tenant, entry)
                yield from _notifications(tenant, entry)
                yield from _proofs(tenant, entry, ledger, by)


def grants(tenants: tuple[Tenant, ...]) -> Iterator[str]:
    """Lines for an administrator that give the accounts what they need, and no more."""
    for tenant in tenants:
        for entry in tenant.config.sources:
            if not isinstance(entry, ShareConfig) and (lines := entry.grant()):
                yield f"# {tenant.name}: lets the app into these mailboxes alone; its consent to mail in Entra must go"
                yield from lines


def _ledger(ledger: Ledger) -> Finding:
    """Whether it can be written, and every page and every chain of it is whole."""
    try:
        ledger.adopt_generation(0)
        ledger.require_whole()
    except LedgerError as error:
        return Finding(
            "ledger", "stopped", str(error), "do what is said here, before anything else", "connector ledger check"
        )
    return Finding("ledger", "fine", "can be written, and is whole")


def _clock(tenant: Tenant) -> Finding:
    """Held against what the store's last answer, which has just come, said."""
    tried = f"{tenant.name}: clock"
    try:
        compare(tenant.store(), clock())
    except ClockInDoubt as doubt:
        return Finding(tried, "stopped", str(doubt), "have both ask a time server", "timedatectl set-ntp true")
    told = tenant.store().now()
    return Finding(
        tried, "fine", f"is that of the store, to {abs(told - clock()).seconds} s" if told else "the store tells none"
    )


def _free(tenant: Tenant) -> Finding:
    """How much the store takes until its quota, or its disk, is full."""
    tried = f"{tenant.name}: room in the store"
    try:
        free = tenant.store().free()
    except ConnectorError as error:
        return failed(tried, error, _asking(tenant))
    if free is None:
        return Finding(tried, "fine", "the server does not tell how much it takes")
    says = f"it takes {about(free)} more"
    if free >= machine.LITTLE:
        return Finding(tried, "fine", says)
    todo = "raise the quota of the account there, or give the server a larger disk; until then attachments stay in mail"
    severity: Severity = "stopped" if free < machine.NOTHING else "soon"
    return Finding(tried, severity, says, todo, tenant.config.store.making_room)


def _generation(tenant: Tenant, ledger: Ledger) -> Finding:
    tried = f"{tenant.name}: ledger and store"
    if stopped := ledger.paused(TenantPause.LEDGER.of(tenant.name), clock()):
        todo = "stop the daemon, then take over what the store knows"
        return Finding(tried, "stopped", stopped.reason, todo, "connector ledger reconcile")
    return Finding(tried, "fine", "belong together, as far as is known")


def _store(tenant: Tenant) -> Finding:
    tried = f"{tenant.name}: store"
    try:
        _write_and_delete(tenant.store(), (tag for rule in tenant.config.rules for tag in rule.tags))
    except ConnectorError as error:
        return failed(tried, error, _asking(tenant))
    return Finding(tried, "fine", "a small file was written, read back and deleted")


def _newest(tenant: Tenant, ledger: Ledger) -> Finding:
    """A store that was restored from a copy of yesterday lacks all that came since. One file may be its owner's act."""
    tried = f"{tenant.name}: what the store got last"
    last = [stored for each in ledger.newest(tenant.name, _LAST) if (stored := _smallest(each))]
    try:
        there = sum(_is_there(tenant.store(), each) for each in last)
    except ConnectorError as error:
        return failed(tried, error, _asking(tenant))
    of = f"of the last {counted(len(last), 'redirect')}"
    if last and not there:
        says = f"nothing {of} is there: was the store restored from an older copy?"
        todo = "bring back the files that came since from a newer copy of the store, under the same paths"
        return Finding(tried, "stopped", says, todo, _asking(tenant))
    return Finding(tried, "fine", f"is there, for {there} {of}" if last else "nothing is done yet")


def _smallest(redirect: Redirect) -> Stored | None:
    return min((each.stored for each in redirect.live if each.stored), key=lambda stored: stored.size, default=None)


def _is_there(store: Store, stored: Stored) -> bool:
    """Whether anything is: what an owner has changed is no sign of an older store."""
    try:
        return store.verify(stored)
    except (Corrupt, Edited):
        return True


def _asking(tenant: Tenant) -> str:
    """The command that shows what the store answers."""
    return f"curl --verbose --request PROPFIND {tenant.config.store.url}"


def _links(tenant: Tenant) -> Finding:
    """Whether the pages hand out what the daemon publishes: one book, one store, and the address that messages show."""
    tried = f"{tenant.name}: links"
    try:
        publisher = tenant.publisher()
        assert publisher
        wrong = publisher.tried()
    except ConnectorError as error:
        return failed(tried, error, _PAGES)
    if wrong:
        todo = "start `connector links serve`; compare links.yaml with `links`"
        return Finding(tried, "unreachable", wrong, todo, _PAGES)
    return Finding(tried, "fine", "a small file was published, fetched through its page, and taken back")


def _holds(tenant: Tenant) -> Iterator[Finding]:
    """A hold that is mistyped keeps nothing."""
    known = {fold(each.source.address) for each in tenant.mailboxes}
    for address in tenant.config.retention_holds:
        if fold(address) not in known:
            says = f"retention_holds names {address}, which is no mailbox of this tenant: nothing is kept by that"
            fix = f"grep --recursive --line-number {shlex.quote(address)} /etc/connector/tenants"
            yield Finding(f"{tenant.name}: holds", "stopped", says, "correct the address in the tenant's file", fix)


def _scanner(tenant: Tenant, scanner: Scanner) -> Finding:
    """Whether it lets pass what it should, and finds what every scanner finds."""
    tried = f"{tenant.name}: scanner"
    try:
        with spooled(io.BytesIO(b"Sent by `connector check`.\n")) as harmless, spooled(io.BytesIO(EICAR)) as harmful:
            passes, found = scanner.infected(harmless), scanner.infected(harmful)
    except ConnectorError as error:
        return failed(tried, error, "systemctl restart clamav-daemon")
    if passes is not False:
        todo = "look at its log and its signatures"
        return Finding(tried, "stopped", "it finds something in a line of text", todo, "freshclam")
    if not found:
        todo = "look at its signatures (freshclam), and at the types and sizes of files that it leaves out"
        return Finding(
            tried, "stopped", "it does not find the test file of EICAR, which every scanner finds", todo, "freshclam"
        )
    return Finding(tried, "fine", "finds the test file of EICAR, and lets a line of text pass")


def _remarks(tenant: Tenant) -> Iterator[Finding]:
    """What an administrator should know about the store, and nothing has to be done about."""
    tried = f"{tenant.name}: store"
    try:
        for remark in tenant.store().remarks():
            yield Finding(tried, "fine", remark)
    except ConnectorError as error:
        yield failed(tried, error, f"curl --verbose {tenant.config.store.url}")


def _people(tenant: Tenant, source: Source, stored: Finding) -> Iterator[Finding]:
    """Whether those to whom a mailbox belongs, or who share something, could open its links."""
    if stored.severity != "fine":
        return  # One more wrong login for each mailbox, and the store would refuse everybody at our address.
    tried, address, members = f"{tenant.name}: people of {source.address}", source.address, source.members
    try:
        strangers = tenant.store().strangers(address, members)
    except ConnectorError as error:
        yield failed(tried, error, f"curl --verbose {tenant.config.store.url}")
        return
    todo = "name who may read its files (`readers`), or give the account its address"
    fix = f"occ user:setting ACCOUNT settings email {strangers[0] if strangers else address}"
    if members is None and strangers:
        says = "the store knows nobody, or more than one, to whom it belongs: nothing of it is redirected"
        yield Finding(tried, "stopped", says, todo, fix)
    elif strangers:
        says = f"the store does not know these, who cannot open its links: {', '.join(strangers)}"
        yield Finding(tried, "stopped" if of_nobody(strangers, address, members) else "fine", says, todo, fix)


def _write_and_delete(store: Store, tags: Iterable[str]) -> None:
    # In a collection of ours, so that a root that is missing is told as that.
    path = f".connector/check-{secrets.token_hex(8)}.txt"
    said = b"Written by `connector check`; may be deleted.\n"
    try:
        store.verify(put_bytes(store, path, said, tuple(dict.fromkeys(tags))))
    except (Denied, Unavailable):
        raise  # More logins could lock the account.
    except ConnectorError:
        with suppress(ConnectorError):  # The first error is the one to tell.
            store.delete(path)
        raise
    store.delete(path)


def _directory(tenant: Tenant) -> Iterator[Finding]:
    """Which mailboxes there are, where that is not written in the configuration."""
    if not any(each.asks for each in tenant.config.sources):
        return
    tried = f"{tenant.name}: directory"
    try:
        tenant.look_up()
    except ConnectorError as error:
        yield failed(tried, error, "connector check", _CONSENT)
    else:
        yield Finding(tried, "fine", f"{len(tenant.mailboxes)} mailboxes are this tenant's by now")


def _shares(tenant: Tenant, entry: ShareConfig, ledger: Ledger, by: str, stored: Finding) -> Iterator[Finding]:
    """Whether the files of Teams can be read; and where they give way to pointers, whether they come back."""
    for share in (each for each in tenant.mailboxes if each.entry is entry):
        tried = f"{tenant.name}: files of {share.source.address}"
        try:
            next(iter(share.source.changes(None)))
        except ConnectorError as error:
            yield failed(tried, error, "connector check", _CONSENT)
        else:
            yield Finding(tried, "fine", "can be listed")
            yield from _people(tenant, share.source, stored)
    tried = f"{tenant.name}: putting files of Teams back"
    if not entry.redirect:
        yield Finding(tried, "fine", "files are only copied: nothing has to come back")
        return
    try:
        probe = entry.probe_source()
        wrong = (
            _disproved(partial(try_put_back_file, probe), tenant, probe, ledger)
            if probe
            else ("cannot be tried: no `probe` is set",)
        )
    except ConnectorError as error:
        yield failed(tried, error, "connector check", _CONSENT)
        return
    if probe:
        record(ledger, tenant, probe, Proof.PUT_BACK, passed=not wrong, by=by)
    if wrong:
        todo = "make a channel for trials alone, and name it under `probe`; until then nothing is taken out of Teams"
        fix = 'New-TeamChannel -GroupId GROUP -DisplayName "connector probe"'
        yield Finding(tried, "fine" if tenant.monitor else "stopped", "; ".join(wrong), todo, fix)
    else:
        yield Finding(tried, "fine", "a file that gave way to a pointer came back, byte for byte")
    todo = "tell people: the link that stands beside the message's place in the channel leads on"
    yield Finding(
        f"{tenant.name}: messages in Teams", "fine", "old cards say of such files that they were not found", todo
    )


def _mailboxes(tenant: Tenant, entry: MailConfig, stored: Finding) -> Iterator[Finding]:
    refused = ""
    for mailbox in (each for each in tenant.mailboxes if each.entry is entry):
        tried = f"{tenant.name}: mailbox {mailbox.source.address}"
        try:
            _ = mailbox.source.key
        except ConnectorError as error:
            yield failed(tried, error, "connector check", entry.letting_in(mailbox.source.address))
            # The same words twice do not speak of a mailbox: more wrong passwords could lock the account.
            if str(error) == refused:
                return
            refused = str(error) if isinstance(error, Denied) else ""
        else:
            yield Finding(tried, "fine", "can be opened")
            yield _room(tenant, mailbox.source)
            yield from _people(tenant, mailbox.source, stored)


def _notifications(tenant: Tenant, entry: MailConfig) -> Iterator[Finding]:
    """Whether a server that calls us finds its way, through the proxy of the house."""
    tried = f"{tenant.name}: notifications"
    try:
        if entry.try_notifications():
            yield Finding(tried, "fine", "Graph found its way to us, and was told that we want no more")
    except InUse as error:
        yield Finding(
            tried, "fine", f"not tried: {error}; where that is the daemon, `connector status` tells who is heard"
        )
    except Rejected as error:
        todo = "let the proxy pass on there what comes to `url`, and the firewall let Microsoft in"
        yield Finding(tried, "unreachable", str(error), todo, "connector check")
    except ConnectorError as error:
        yield failed(tried, error, "connector check")


def _room(tenant: Tenant, source: Source) -> Finding:
    """How much the mailbox has left for what edits leave behind."""
    tried = f"{tenant.name}: Recoverable Items of {source.address}"
    try:
        room = source.room()
    except ConnectorError as error:
        return failed(tried, error, "connector check")
    if room is None:
        return Finding(tried, "fine", "the server does not tell how full they are")
    if room.full:
        fix = f"Set-Mailbox {source.address} -RecoverableItemsQuota SIZE -RecoverableItemsWarningQuota SIZE"
        return Finding(tried, "stopped", f"{room}: nothing is changed in the mailbox", MAKE_ROOM, fix)
    return Finding(tried, "fine", str(room))


def _outside(tenant: Tenant, entry: MailConfig) -> Iterator[Finding]:
    """Whether the account gets into a mailbox that is none of its business."""
    source = entry.outside_source()
    if source is None:
        return
    tried = f"{tenant.name}: scope of the account"
    try:
        _ = source.key
    except Denied as error:
        yield Finding(tried, "fine", f"it is kept out of {source.address}, as it must be: {error}")
    except ConnectorError as error:
        yield failed(tried, error, "connector check")
    else:
        todo = "narrow its scope (CustomRecipientWriteScope, CustomResourceScope) to the mailboxes that it is for"
        yield Finding(
            tried,
            "exposed",
            f"THE ACCOUNT OPENS {source.address}, WHICH IT MUST NOT",
            todo,
            entry.keeping_out(source.address),
        )


def _proofs(tenant: Tenant, entry: MailConfig, ledger: Ledger, by: str) -> Iterator[Finding]:
    """What has to be known of a server before anything is taken out of messages there."""
    probe = entry.probe_source()
    if probe is None:
        yield without_probe(tenant)
        return
    tried = f"{tenant.name}: putting attachments back, in {probe.address}"
    try:
        wrong = _disproved(partial(try_put_back, probe), tenant, probe, ledger)
    except ConnectorError as error:
        yield failed(tried, error, "connector check", entry.letting_in(probe.address))
        return
    record(ledger, tenant, probe, Proof.PUT_BACK, passed=not wrong, by=by)
    if wrong:
        todo = "nothing is taken out of messages on this server; ask its administrator, and us; then try again"
        yield Finding(tried, "stopped", "; ".join(wrong), todo, "connector check")
    else:
        yield Finding(tried, "fine", f"as they were, byte for byte, on {probe.server}")
    yield _certificate(tenant, entry, probe, ledger)


def without_probe(tenant: Tenant) -> Finding:
    """Nothing can be proved: that is fine as long as nothing is enforced."""
    todo = "make a mailbox for trials alone, and name it under `probe`"
    severity: Severity = "fine" if tenant.monitor else "stopped"
    fix = "New-Mailbox -Shared -Name connector-probe"
    return Finding(
        f"{tenant.name}: putting attachments back", severity, "cannot be tried: no `probe` is set", todo, fix
    )


def _disproved(tried: Callable[[], tuple[str, ...]], tenant: Tenant, probe: Source, ledger: Ledger) -> tuple[str, ...]:
    """What a trial has shown to be wrong: also that it was refused, where it never went well on this server.

    What was proved stands until the contrary is: there, a refusal is raised as it is.
    """
    try:
        return tried()
    except Corrupt as error:
        return (str(error),)
    except (Gone, FileGone, Rejected) as error:
        # Not a server that is down or refuses a login, but one that does not do it.
        known = ledger.proofs(tenant.name, probe.server).get(Proof.PUT_BACK)
        if known and known.passed:
            raise
        return (str(error),)


def record(ledger: Ledger, tenant: Tenant, probe: Source, proof: Proof, *, passed: bool, by: str) -> None:
    """Keep how a proof went on the server of this probe."""
    proved = Proved(tenant=tenant.name, server=probe.server, proof=proof, passed=passed, at=clock(), by=by)
    ledger.prove(proved, Event.PROOF_RECORDED)


def _certificate(tenant: Tenant, entry: MailConfig, probe: Probe, ledger: Ledger) -> Finding:
    tried = f"{tenant.name}: what clients make of edited messages"
    known = ledger.proofs(tenant.name, probe.server).get(tenant.certificate)
    if known and known.passed:
        return Finding(tried, "fine", f"certified on {probe.server}, by {known.by}")
    if entry.waive_certify:
        return Finding(tried, "fine", f"not certified on {probe.server}: {entry.waive_certify} answers for that")
    said = f"not certified on {probe.server}" if known is None else f"`connector certify` failed on {probe.server}"
    if tenant.monitor:
        return Finding(tried, "fine", said)
    todo = "call `connector certify`, or name in `waive_certify` who answers for doing without"
    return Finding(tried, "stopped", said, todo, "connector certify")


def failed(tried: str, error: ConnectorError, fix: str, grant: str = "") -> Finding:
    """What a server's refusal or silence means for whoever tries. What grants a right helps nobody against silence."""
    if isinstance(error, Unavailable):
        todo = "check the address, the network and the server; then try again"
        return Finding(tried, "unreachable", str(error), todo, fix)
    mend = "grant what is named here, or correct the login; then try again"
    todo = mend if isinstance(error, Denied) else "try again; where it stays so, ask the administrator of the server"
    return Finding(tried, "refused", str(error), todo, grant or fix)
