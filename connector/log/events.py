"""The catalogue: all that can happen, by its stable name; what it means, and what to do about it.

`connector events` prints it. A test reads the code: every event in it is in use, at the level that stands here.
"""

from enum import StrEnum
from typing import Literal, Self

#: How an event is told in the log. "audit": it stands in the audit trail of the ledger alone.
Severity = Literal["audit", "info", "warning", "error"]

AUDIT: Severity = "audit"
INFO: Severity = "info"
WARNING: Severity = "warning"
ERROR: Severity = "error"


class Event(StrEnum):
    """The stable names of what happens: in the log, and in the events of the ledger."""

    severity: Severity
    meaning: str
    #: For whoever reads it at night: one sentence, "" where nothing is to be done. Lines of the log carry it.
    to_do: str

    def __new__(cls, name: str, severity: Severity, meaning: str, to_do: str = "") -> Self:  # noqa: D102
        event = str.__new__(cls, name)
        event._value_ = name
        event.severity, event.meaning, event.to_do = severity, meaning, to_do
        return event

    # --- redirects ------------------------------------------------------------------------------------------------

    REDIRECT_PLANNED = (
        "redirect.planned",
        AUDIT,
        "The policy wants files of this item elsewhere; nothing is touched yet.",
    )
    REDIRECT_COPIED = "redirect.copied", AUDIT, "One file lies in the store and was read back right."
    REDIRECT_ORIGINAL_KEPT = (
        "redirect.original_kept",
        AUDIT,
        "The whole message lies in the store, as it was before anything in it changed.",
    )
    REDIRECT_STORED = "redirect.stored", AUDIT, "All files of the redirect lie in the store."
    REDIRECT_SETTLED = (
        "redirect.settled",
        AUDIT,
        "The store's backup has its files: links need not wait any longer.",
    )
    REDIRECT_LINKED = "redirect.linked", AUDIT, "Every file has its link."
    REDIRECT_REWRITTEN = "redirect.rewritten", AUDIT, "The item shows the links."
    REDIRECT_DONE = "redirect.done", INFO, "The originals have left the item, or the copies that a rule wants are made."
    REDIRECT_DEFERRED = "redirect.deferred", AUDIT, "A step failed and is tried again at a later time."
    REDIRECT_HELD = (
        "redirect.held",
        ERROR,
        "A human has to decide; the reason is kept. The item stays as it is.",
        "`connector held` tells the reason; set it right, then `connector release ID`, or `connector drop ID`.",
    )
    REDIRECT_DROPPED = "redirect.dropped", INFO, "Nothing is needed any more; nothing was deleted."
    REDIRECT_REVIVED = "redirect.revived", AUDIT, "A dropped redirect goes on: its item was found again."
    REDIRECT_MESSAGE_GONE = (
        "redirect.message_gone",
        AUDIT,
        "No copy of its message is left in the mailbox: from now on its files have the time that they outlive it.",
    )
    REDIRECT_MESSAGE_BACK = (
        "redirect.message_back",
        AUDIT,
        "Its message is there again, and its files stay as long as that does.",
    )
    REDIRECT_ADOPTED = "redirect.adopted", AUDIT, "The item was moved; the redirect follows it to its new id."
    REDIRECT_RELEASED = "redirect.released", AUDIT, "A human let a held redirect go on."
    REDIRECT_RECONCILED = "redirect.reconciled", AUDIT, "A manifest in the store told what the ledger did not know."
    REDIRECT_RECALLED = "redirect.recalled", AUDIT, "A human wants the files back in the message."
    REDIRECT_FILES_RETURNED = (
        "redirect.files_returned",
        AUDIT,
        "The files are in the message again, byte for byte: `files` of them, behind the `behind` that stayed.",
    )
    REDIRECT_RESTORED = "redirect.restored", INFO, "The notice has left the message: it is as it was."
    REDIRECT_EXPIRED = (
        "redirect.expired",
        AUDIT,
        "The retention of its files has ended: the message is to say so, then they are deleted.",
    )
    REDIRECT_TOLD = (
        "redirect.told",
        AUDIT,
        "Its message, and every copy of it in the mailbox, says that the files are deleted.",
    )
    REDIRECT_ERASED = (
        "redirect.erased",
        INFO,
        "Its files, links and manifests are deleted, and what trash and versions had of them.",
    )
    REDIRECT_RETURNED = (
        "redirect.returned",
        AUDIT,
        "A step went back, because item or store is not what it was.",
    )
    REDIRECT_COPY_MADE = (
        "redirect.copy_made",
        AUDIT,
        "A copy of the message lies on a shelf, and is edited in its place (`rewrite: replace`).",
    )
    REDIRECT_STAGED = "redirect.staged", AUDIT, "The copy is as the message is to be."
    REDIRECT_PLACED = "redirect.placed", AUDIT, "The copy is where the message is; for a moment it is there twice."
    REDIRECT_REPLACED = (
        "redirect.replaced",
        AUDIT,
        "The copy has taken the place of the message, which lies on the shelf.",
    )
    SHELF_CLEARED = "shelf.cleared", AUDIT, "What lay on the shelf of a redirect that came to nothing was deleted."
    FILE_GONE = "file.gone", AUDIT, "One file was taken out of the message before its link was shown."
    FILE_UNPACKED = (
        "file.unpacked",
        AUDIT,
        "What is inside a file of the message was found, and goes into the store beside it: `files` of them.",
    )
    FILE_KEPT = (
        "file.kept",
        WARNING,
        "What is inside a file of the message could not be told: it stays there as it is, and the reason is kept.",
        "Nothing, unless it is always the same sender: `connector explain MESSAGE` shows the message.",
    )

    # --- what people and policies want ----------------------------------------------------------------------------

    BACKFILL_WANTED = "backfill.wanted", AUDIT, "A human wants what is older than first contact with a source, too."
    BACKFILL_PAUSED = "backfill.paused", AUDIT, "A human leaves what is older for now."
    BACKFILL_RESUMED = "backfill.resumed", AUDIT, "A human goes on with what is older."
    BACKFILL_LISTED = (
        "backfill.listed",
        INFO,
        "All items of a source from before first contact are known: so many wait.",
    )
    PEOPLE_KEPT = (
        "people.kept",
        INFO,
        "Whoever a message belongs to wants it left as it is, by a category or a folder: what a rule wants stays.",
    )
    PEOPLE_RECALLED = (
        "people.recalled",
        INFO,
        "Whoever a message belongs to asked for its attachments, by a category or a folder: they come back.",
    )
    PEOPLE_ELSEWHERE = (
        "people.elsewhere",
        INFO,
        "Somebody asked for attachments in a copy of another mailbox's message: they have to be asked for in that one.",
    )
    MESSAGE_MONITORED = (
        "message.monitored",
        INFO,
        "What enforcing would do with a message, where its tenant only monitors.",
    )
    MESSAGE_PUT_OFF = (
        "message.put_off",
        WARNING,
        "What rules ask about a message could not be found out: it stays as it is, and is looked at again.",
        "See `reason`. Nothing that rules show to a virus scanner moves while that gives no answer.",
    )
    RULE_MONITORED = "rule.monitored", INFO, "What rules on trial (`mode: monitor`) would do with files of a message."
    MESSAGE_EXPLAINED = "message.explained", AUDIT, "An operator looked into a message (`connector explain`)."
    PLAN_NAMED = (
        "plan.named",
        AUDIT,
        "An operator looked at what the policy would do to the mail of people by name (`connector plan --named`).",
    )
    LETTER_LEFT = (
        "letter.left",
        AUDIT,
        "The owner of a message was told, by a message of its own, what its links ask for.",
    )
    HELD_TOLD = "held.told", AUDIT, "The owner of a message was told that its attachments wait for a decision."
    MARKER_FORGED = (
        "marker.forged",
        WARNING,
        "A message bears a marker that our key did not make: somebody planted it, and it counts for nothing.",
        "Once is no harm; often from one sender is an attack. If `marker_key` was changed, put the former one back.",
    )

    # --- links ----------------------------------------------------------------------------------------------------

    LINK_REVOKED = "link.revoked", AUDIT, "Links of a message open nothing any more; the message still shows them."
    LINK_EXTENDED = "link.extended", AUDIT, "Links of a message open until another time."
    LINK_RENEWED = "link.renewed", AUDIT, "Links of a message open nothing any more, and it will show others."
    LINK_REMINDED = "link.reminded", AUDIT, "The owner of links was told that they end soon."
    LINK_LASTS = "link.lasts", AUDIT, "Somebody let links last longer than the ledger knew."
    LINK_OPENED = (
        "link.opened",
        AUDIT,
        "Somebody came to a link: `what` for, and with which `result`; noted again, it has the same `seen`.",
    )
    LINK_GUESSED = (
        "link.guessed",
        WARNING,
        "Links were asked for that never were: so many `times`, from one network (`client`).",
        "A few are mistyped. Thousands are somebody who guesses, in vain: let the proxy turn the network away.",
    )
    LINK_TOLD = "link.password_told", AUDIT, "An operator asked for the password of a link."
    LINKS_LISTED = "links.listed", AUDIT, "An operator looked at the links of messages."
    MAILBOX_LEFT = (
        "mailbox.left",
        AUDIT,
        "Whoever a mailbox belonged to has left, and its files belong to another.",
    )
    LINKS_SERVED = "links.served", INFO, "The pages of links are up."
    LINK_BROKEN_OFF = (
        "link.broken_off",
        WARNING,
        "A file, or a page of it, was not handed out: the store, or the reader, did not do its part.",
        "One is a reader who left. Many at a time: see whether the store answers from this machine.",
    )
    LINK_UNPROVED = (
        "link.unproved",
        WARNING,
        "Bytes that were handed out were right, but the book of links could not be told so: they are proved again.",
        "See what `reason` says of the database, and whether another process keeps it locked.",
    )
    LINK_NO_LOGIN = (
        "link.no_login",
        WARNING,
        "The issuer of the house does not answer, or not as one: nobody can log in at the pages.",
        "See whether `oidc.issuer` answers from this machine, and who vouches for its certificate (`oidc.ca`).",
    )
    LINK_OF_NOBODY = (
        "link.of_nobody",
        ERROR,
        "A link belongs to a tenant that links.yaml does not have: it opens nothing.",
        "Write the tenant into links.yaml, then restart connector-links.",
    )
    LINK_CORRUPT = (
        "link.corrupt",
        ERROR,
        "The store has other bytes than were published: they were not handed out whole.",
        "Find out who wrote into the store, and bring the file back from its backup; see `connector links scrub`.",
    )

    # --- mailboxes and stores -------------------------------------------------------------------------------------

    PAUSED = "paused", AUDIT, "The ledger notes that a mailbox or a store is left alone for a while."
    SOURCE_PAUSED = (
        "source.paused",
        WARNING,
        "A mailbox is busy or down; it is asked again later.",
        "Nothing, if it is over by `until`. If it stays: see whether its server answers from this machine.",
    )
    SOURCE_DENIED = (
        "source.denied",
        WARNING,
        "Credentials or a permission are missing for a mailbox; the others go on.",
        "Give the account what the reason names; `connector check` proves it. It goes on by itself after `until`.",
    )
    SOURCE_FULL = (
        "source.full",
        WARNING,
        "A mailbox has little room left for what edits leave behind: files are copied, and nothing is changed there.",
        "Raise RecoverableItemsQuota of the mailbox, or wait for the end of its retention.",
    )
    FOLDERS_UNREAD = (
        "folders.unread",
        ERROR,
        "The server of a mailbox fails at some of its folders each time; the others go on.",
        "Have the administrator of the mailbox repair or move the folder; what came there is read once it answers.",
    )
    SOURCE_LEFT_OUT = (
        "source.left_out",
        ERROR,
        "A team, channel or OneDrive cannot be looked up: what was known of it goes on, and so do the others.",
        "Do what the reason says, or name it under `exclude`; it is looked for again within a day.",
    )
    SOURCE_NAMESAKE = (
        "source.namesake",
        ERROR,
        "Two teams, channels or chats have one name: only the one that had it before is served, or none of them.",
        "Rename one of them, or name the team's id under `exclude`; the drives tell which they are.",
    )
    SOURCE_UNPROVED = (
        "source.unproved",
        ERROR,
        "Nothing is linked or removed in a mailbox until something was proved about its server.",
        "Run `connector check`, and `connector certify` where the reason says so.",
    )
    SOURCE_UNREAD = (
        "source.unread",
        ERROR,
        "Nothing is linked in a mailbox until the people to whom it belongs can read its files in the store.",
        "Do what the reason says in the store; it goes on by itself.",
    )
    MEMBERS_UNKNOWN = (
        "members.unknown",
        ERROR,
        "Of those who share a source, the store does not know some, who cannot open its links.",
        "Give them an account in the store; the others are served meanwhile.",
    )
    STORE_ANSWERS = "store.answers", INFO, "A store answers again: the mailboxes of its tenant go on."
    ACCOUNT_PAUSED = (
        "account.paused",
        WARNING,
        "Mailboxes fail in the same words: it is their server. All reached by it wait, then one tries for all.",
        "See whether the server answers from this machine, and whether our account there is let in; it then goes on.",
    )
    ACCOUNT_ANSWERS = "account.answers", INFO, "A server lets us in again: all mailboxes that are reached by it go on."
    STORE_PAUSED = (
        "store.paused",
        WARNING,
        "A store is busy or down; all mailboxes of its tenant wait.",
        "Nothing, if it is over by `until`. If it stays: see whether the store answers from this machine.",
    )
    STORE_DENIED = (
        "store.denied",
        WARNING,
        "Credentials or a permission are missing for a store; all mailboxes of its tenant wait.",
        "Give the account what the reason names; `connector check` proves it. It goes on by itself after `until`.",
    )
    SHARES_EXHAUSTED = (
        "shares.exhausted",
        INFO,
        "The store lets nobody else in for now: it allows a number of new shares, and no more.",
    )
    PROOF_RECORDED = (
        "proof.recorded",
        AUDIT,
        "How a proof about a server went: `connector check`, or `connector certify`.",
    )
    PROOF_WAIVED = (
        "proof.waived",
        AUDIT,
        "Somebody answers, by name, for enforcing on a server without `connector certify`.",
    )
    HINTS_CONNECTED = "hints.connected", INFO, "A server tells at once what happens in mailboxes."
    HINTS_LOST = (
        "hints.lost",
        WARNING,
        "It does not any more: mailboxes are looked at in their interval, as ever.",
        "Nothing: it connects again by itself, and no message is missed meanwhile.",
    )
    HINTS_FORGED = (
        "hints.forged",
        WARNING,
        "Somebody who is not Microsoft 365 told us at `host` and `port` of changes: it was ignored.",
        "Nothing, once. Often: let the reverse proxy pass on only what comes from Microsoft's addresses.",
    )

    # --- what stops us from doing harm ----------------------------------------------------------------------------

    LEASE_LOST = (
        "lease.lost",
        WARNING,
        "A tick took so long that another process has the mailbox by now; nothing was written since.",
        "Nothing, once. Often: make sure that one daemon runs, and that this machine is not suspended or overloaded.",
    )
    LEDGER_BACKED_UP = "ledger.backed_up", AUDIT, "The ledger was copied into a file; `by` tells by whom."
    LEDGER_FAILED = (
        "ledger.failed",
        ERROR,
        "The ledger cannot be read or written; nothing is done until it can.",
        "See to the disk of the state folder (full, read-only?), or to PostgreSQL; then it goes on by itself.",
    )
    REDIRECT_ENDED = (
        "redirect.ended",
        AUDIT,
        "Nothing of a person is to be kept: the time of the redirect's files is over from now on.",
    )
    PERSON_LOOKED_UP = "person.looked_up", AUDIT, "An operator asked what is known of a person (`audit subject`)."
    ERASURE_WANTED = "person.erasure_wanted", AUDIT, "An operator wants nothing kept of a person (`audit erase`)."
    PERSON_ERASED = (
        "person.erased",
        INFO,
        "Nothing of a person's mailbox is kept any more, and nobody can tell which events speak of it.",
    )
    AUDIT_TRIMMED = (
        "audit.trimmed",
        AUDIT,
        "Events whose time was over left the front of the audit trail; `number` and `hash` are of the last of them.",
    )
    AUDIT_ANCHORED = "audit.anchored", INFO, "Where each audit trail ends was written down outside of the ledger."
    AUDIT_NOT_ANCHORED = (
        "audit.not_anchored",
        ERROR,
        "Where the audit trails end could not be written down outside of the ledger; the work goes on.",
        "See to the file or the syslog that `audit.anchor` names; it is tried again every hour.",
    )
    SWEEP_DELETED = "sweep.deleted", INFO, "Stored files that nothing shows were deleted after their grace time."
    SWEEP_STOPPED = (
        "sweep.stopped",
        ERROR,
        "A sweep stopped before it deleted more: the clock is in doubt, or it would be too much at once.",
        "Do what the reason says; until then nothing is deleted.",
    )
    SWEEP_PUT_OFF = (
        "sweep.put_off",
        WARNING,
        "A sweep could not look at one message, or somebody decided about it meanwhile; the others are swept.",
        "Nothing; the next sweep tries it again. Told each day: look at the message (`connector explain`).",
    )
    GENERATION_FOREIGN = (
        "generation.foreign",
        ERROR,
        "The ledger is older than what it has written elsewhere, or is another one's: nothing is pruned or deleted.",
        "Make sure that no other daemon works for this tenant, then `connector ledger reconcile`.",
    )
    CLOCK_IN_DOUBT = (
        "clock.in_doubt",
        ERROR,
        "Our clock and a server's differ, or it stands before what happened: nothing is done until it is set right.",
        "Set the clock right (`timedatectl`) here, or on the server; then it goes on by itself.",
    )
    MANIFEST_REFUSED = (
        "manifest.refused",
        ERROR,
        "A manifest in the store is not as we wrote it: changed, cut short or planted. It is left alone.",
        "Bring it back from the store's backup; until then what belongs to it stays as it is.",
    )

    # --- the daemon -----------------------------------------------------------------------------------------------

    SERVICE_STARTED = "service.started", INFO, "The daemon is up."
    CONFIG_LOADED = (
        "config.loaded",
        INFO,
        "SIGHUP: from the next turn of each mailbox on, the configuration is another one. `policies` by their tenants.",
    )
    SAMPLE_DIFFERS = (
        "sample.differs",
        ERROR,
        "Of a redirect that is done, something is not as the ledger has it, as `difference` says.",
        "`connector explain` with the redirect's id tells what was done when; a missing file is in the store's backup.",
    )
    SAMPLE_COMPARED = "sample.compared", INFO, "A night's sample of the ledger was held against store and mailboxes."
    TENANT_STOPPED = (
        "tenant.stopped",
        WARNING,
        "Somebody has stopped all work for a tenant: no new step begins, until somebody lets it go on.",
        "`connector status` tells who and why; `connector resume TENANT` lets it go on.",
    )
    TENANT_RESUMED = "tenant.resumed", INFO, "Work for a tenant that was stopped goes on."
    TENANT_ASIDE = (
        "tenant.aside",
        ERROR,
        "A file of this tenant is broken, or a secret of its is not to be had: it is not served, and all others are.",
        "Set right what `problems` names; the tenant is then served within a minute or two, without a restart.",
    )
    TENANT_SERVED = "tenant.served", INFO, "A tenant that could not be served is, by now."
    TENANT_REMOVED = (
        "tenant.removed",
        WARNING,
        "The configuration has no file of this tenant any more: nothing of it is looked at, and all stays as it is.",
        "If that is not what you want, put its file back, then `systemctl reload connector`.",
    )
    CONFIG_REFUSED = (
        "config.refused",
        ERROR,
        "SIGHUP, but the configuration cannot be used: the one that was in force stays.",
        "Set the problems right (`connector check`), then `systemctl reload connector`.",
    )
    HEALTH_SERVED = "health.served", INFO, "Metrics and health are told at this address."
    HEALTH_UNHEARD = (
        "health.unheard",
        ERROR,
        "Metrics and health cannot be told at their address; the work goes on.",
        "Free the port, or give another one as `metrics.port` in connector.yaml; it is tried again by itself.",
    )
    SERVICE_STOPPING = "service.stopping", INFO, "No new steps; the current ones finish."
    SERVICE_STOPPED = "service.stopped", INFO, "The daemon is down."
    BUG = (
        "bug",
        ERROR,
        "A defect of connector itself: told with its traceback; a redirect is tried again, and held in the end.",
        "Report it with this line, which quotes no mail. Nothing is lost, and the others go on.",
    )
    LIBRARY_SPOKE = (
        "library.spoke",
        WARNING,
        "A library reported something in its own words, which stay out of our log.",
        "Nothing, unless a warning or an error of ours stands beside it.",
    )
