"""Exchange on localhost, over HTTP, for the demo and for tests: EWS as Exchange 2016 speaks it, and Microsoft Graph.

Both show the same mailboxes. It is built from Microsoft's documentation and from what real clients expect, and shares
no code with `connector.sources`. Comments cite where a rule comes from: "Microsoft: NAME" is a page of the reference
of EWS or Graph, "EWSD: NAME" one of EWS's guide, MS-... an open specification, "facts" what was seen in programs.
Everything is in memory; what is written is gone when the process ends.

The control page takes a JSON object by POST, with one or more of these orders; `Exchange.order` takes them as keywords:

    {"reset": true}                                      no faults, no deviations, nothing seen
    {"throttle": {"requests": 3, "back_off": 5000, "status": 500}}
                                                         ErrorServerBusy with BackOffMilliseconds, as a fault (500)
                                                         or as a result (200); or a bare 503. Graph answers 503, or
                                                         429 for all others, and Retry-After with the seconds or, by
                                                         "retry_after", with a "date", or without it ("absent");
                                                         "share": 0.3 with a "seed" turns that many of all away
    {"drop": {"request": 2, "when": "after"}}            the second request from now loses its connection, before or
                                                         after its effect
    {"kill": {"pid": 4711, "request": 2, "when": "before"}}
                                                         likewise, and SIGKILL to that process first
    {"truncate": {"request": 1}}                         the reply breaks off in the middle
    {"deviate": {"stale-reads": true}}                   switch a deviation on or off: `deviations.py` names them
    {"lag": 5}                                           how long, in seconds, such deviations take
    {"elapse": true}                                     it is over for all that has happened so far
    {"minute": 2}                                        how many seconds each minute of a stream's time-out has
    {"scope": ["anna@example.org"]}                      the mailboxes that the service account may impersonate, and
                                                         the app of Graph may open; null: all of them
    {"forget_sync_states": true}                         all sync states become invalid
    {"stream": {"mishap": "suppress", "event": 3}}       the third event from now that would be told over a stream is
                                                         not, or is told twice ("duplicate"), or ends its stream and is
                                                         lost ("cut"); without `event` all of them;
                                                         likewise what is sent to whom a subscription of Graph names
    {"cut_streams": true}                                all streams end now, without a word
    {"expire_subscriptions": "anna@example.org"}         her subscriptions are known no more; with "" nobody's are
    {"lifecycle": {"mailbox": "anna@example.org", "event": "subscriptionRemoved"}}
                                                         Graph tells whoever subscribed to her mailbox, and does so;
                                                         or "reauthorizationRequired", or "missed"
    {"single_item_recovery": "anna@example.org"}         her Recoverable Items keep what is purged, and each message as
                                                         it was before its subject, body, people or attachments changed
    {"forget_recoverable": "anna@example.org"}           they are emptied, as when the retention is over
    {"roles": ["Mail.ReadWrite"]}                        what was consented to in Entra; it stands in new tokens
    {"granted": ["Mail.ReadWrite"]}                      what was granted in Exchange alone; it stands in no token
    {"token_lifetime": 60}                               how many seconds new tokens last
    {"certificate": PEM}                                 the certificate that is registered for the app: it may sign
                                                         assertions then
    {"revoke": true}                                     tokens end now: 401 with the claims that a new one is for
    {"conflicts": {"share": 0.1, "seed": 1}}             so many writes over Graph end in 412 for no reason
    {"place": {"mailbox": "anna@example.org", "place": "cloud"}}
                                                         where it is: EWS answers "on premises" only, Graph for the
                                                         "cloud" only; with "", both do
    {"refer": {"mailbox": "anna@example.org", "item": ID, "name": "x", "url": "https://..."}}
                                                         the item gets a reference attachment
    {"resource_units": {"limit": 100, "minute": 60}}     what the app may spend on drives in such a minute, from now on
    {"forget_drive_tokens": "resyncChangesApplyDifferences"}
                                                         all tokens of drives' change feeds become invalid; clients are
                                                         told to go on so, or by "resyncChangesUploadDifferences"
    {"preauthenticated_life": 300}                       how long, in seconds, URLs for bytes of files live
    {"deliver": {"mailbox": "anna@example.org", "folder": "Inbox", "eml": "BASE64"}}
                                                         answers {"item": ID}

A GET answers {"requests": N, "seen": [{"operation": NAME, "anchor": MAILBOX}], "early": [...], "deviations": [...]}:
operations as `GetItem` or `PATCH messages`, and those of Graph that came before the time that a Retry-After had told.
EWS counts requests when their login is accepted, Graph all of them.
"""

from connector.simulator.deviations import Deviation
from connector.simulator.exchange import Exchange, simulate

__all__ = ["Deviation", "Exchange", "simulate"]
