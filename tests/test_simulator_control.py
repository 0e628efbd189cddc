"""What can be made to go wrong: on the wire, in the process on the other side, in the manners of the server."""

import base64
import http.client
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from connector.simulator import Deviation, Exchange
from tests.exchange import Judge, Owner, code, new_body, said, setting
from tests.test_simulator import ANNA, eml

_SUBSCRIBE = (
    '<m:Subscribe><m:{kind}SubscriptionRequest SubscribeToAllFolders="true"><t:EventTypes>'
    "<t:EventType>CreatedEvent</t:EventType><t:EventType>DeletedEvent</t:EventType><t:EventType>MovedEvent</t:EventType>"
    "<t:EventType>ModifiedEvent</t:EventType></t:EventTypes>{more}</m:{kind}SubscriptionRequest></m:Subscribe>"
)


def _post(url: str, orders: Any) -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(orders).encode())) as reply:
        return dict(json.load(reply))


@pytest.mark.parametrize("status", [200, 500])
def test_throttling(exchange: Exchange, anna: Owner, status: int) -> None:
    """The next requests, as many as were ordered, get ErrorServerBusy and a time to stay away; then all is well."""
    exchange.order(throttle={"requests": 2, "back_off": 1234, "status": status})

    for _ in range(2):
        busy = anna.sync()
        assert code(busy) == "ErrorServerBusy"
        assert [each.text for each in busy.iter("{*}Value") if each.get("Name") == "BackOffMilliseconds"] == ["1234"]

    assert code(anna.sync()) == "NoError"


def test_the_web_server_is_busy(exchange: Exchange, anna: Owner, judge: Judge) -> None:
    """A bare 503 comes without a word of SOAP."""
    exchange.order(throttle={"requests": 1, "status": 503})

    assert anna.send("<m:GetItem/>") == (503, b"")

    assert judge.judged == 0


@pytest.mark.parametrize(("when", "happened"), [("before", False), ("after", True)])
def test_a_connection_breaks_on_either_side_of_the_effect(
    exchange: Exchange, anna: Owner, when: str, *, happened: bool
) -> None:
    """The n-th request from now loses its connection; before, nothing was done, after, all was."""
    item = exchange.deliver(ANNA, eml())
    key = anna.change_key(item)
    exchange.order(drop={"request": 2, "when": when})
    assert anna.change_key(item) == key

    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        anna.update(item, new_body("x"), key=key)

    assert (said(anna.item(item), "t:Body") == ["x"]) is happened


def test_a_reply_breaks_off(exchange: Exchange, anna: Owner) -> None:
    """A truncated reply ends in the middle, and the connection with it."""
    exchange.order(truncate={"request": 1})

    with pytest.raises(http.client.IncompleteRead):
        anna.sync()

    assert code(anna.sync()) == "NoError"


@pytest.mark.parametrize(("when", "there"), [("before", 1), ("after", 0)])
def test_a_process_is_killed_at_its_request(exchange: Exchange, anna: Owner, when: str, there: int) -> None:
    """SIGKILL hits the process that was named, before or after the effect of its n-th request."""
    item = exchange.deliver(ANNA, eml())
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    exchange.order(kill={"pid": victim.pid, "request": 1, "when": when})

    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        anna.delete(item)

    assert victim.wait(10) == -signal.SIGKILL
    assert len(anna.find("inbox")) == there


def test_the_control_page_speaks_json(exchange: Exchange, anna: Owner) -> None:
    """Orders by POST, a report by GET; nonsense is refused with a reason, and a reset forgets all."""
    told = _post(exchange.control, {"deliver": {"mailbox": ANNA, "folder": "A/B", "eml": "U3ViamVjdDogeA0KDQo="}})
    assert said(anna.item(told["item"]), "t:Subject") == ["x"]
    _post(exchange.control, {"deviate": {"decimal-dates": True}, "lag": 1})
    with urllib.request.urlopen(exchange.control) as report:
        assert json.load(report) == {
            "requests": 1,
            "seen": [{"operation": "GetItem", "anchor": ""}],
            "early": [],
            "deviations": ["decimal-dates"],
        }
    nonsense: list[Any] = [{"explode": True}, {"deviate": {"nonsense": True}}, {"drop": {"when": "never"}}, []]
    for each in nonsense:
        with pytest.raises(urllib.error.HTTPError, match="400"):
            _post(exchange.control, each)
    _post(exchange.control, {"reset": True})
    assert exchange.seen == []


def test_it_runs_as_a_process_until_sigterm(tmp_path: Path) -> None:
    """One line of JSON tells where it is; folders are mailboxes and folders; SIGTERM ends it."""
    for place in ("ben@example.org", "ben@example.org/Sent Items", "ben@example.org/Projects/2026"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / "1.eml").write_bytes(eml())
    command = [sys.executable, "-m", "connector.simulator", "--mail", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert set(told) == {"ews", "accounts", "impersonator", "graph", "token", "tenant", "client", "control"}
        (account,) = told["accounts"]
        assert account["mailbox"] == "ben@example.org"
        assert _post(told["control"], {}) == {}
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_a_folder_without_mailboxes_is_named(tmp_path: Path, name: str) -> None:
    """Mail that is not there is said in one sentence."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(ValueError, match=f"{name} holds no mailbox"):
        Exchange(tmp_path / name)


def test_events_are_told_over_a_stream(exchange: Exchange, anna: Owner) -> None:
    """A stream opens with its status, then tells what happens, envelope by envelope, bare as clients search for it."""
    (subscription,) = said(anna.ask(_SUBSCRIBE.format(kind="Streaming", more="")), "m:SubscriptionId")
    item = exchange.deliver(ANNA, eml())
    request = (
        f"<m:GetStreamingEvents><m:SubscriptionIds><t:SubscriptionId>{subscription}</t:SubscriptionId>"
        "</m:SubscriptionIds><m:ConnectionTimeout>1</m:ConnectionTimeout></m:GetStreamingEvents>"
    )
    exchange.order(minute=0.5)

    status, stream = anna.send(request)

    first, second, last = (part for part in stream.decode().split("</Envelope>") if part)
    assert status == 200
    assert all(
        part.startswith('<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"') for part in (first, second)
    )
    assert "<m:ConnectionStatus>OK<" in first
    assert item in second
    assert "CreatedEvent" in second
    assert "Notifications" not in first + last
    assert "<m:ConnectionStatus>Closed<" in last


def test_events_are_fetched_by_watermark(exchange: Exchange, anna: Owner) -> None:
    """A pull subscription tells what came after its watermark; a removal is part of it unless the server deviates."""
    reply = anna.ask(_SUBSCRIBE.format(kind="Pull", more="<t:Timeout>10</t:Timeout>"))
    (subscription,), (watermark,) = said(reply, "m:SubscriptionId"), said(reply, "m:Watermark")
    item = exchange.deliver(ANNA, eml())
    moved = said(anna.move(item, "deleteditems"), "t:ItemId")
    pull = (
        f"<m:GetEvents><m:SubscriptionId>{subscription}</m:SubscriptionId><m:Watermark>{{}}</m:Watermark></m:GetEvents>"
    )

    events = anna.ask(pull.format(watermark))

    assert said(events, "t:CreatedEvent/t:ItemId") == [item]
    assert said(events, "t:MovedEvent/t:OldItemId") == [item]
    assert said(events, "t:MovedEvent/t:ItemId") == moved
    quiet = anna.ask(pull.format(said(events, "t:MovedEvent/t:Watermark")[0]))
    assert said(quiet, "t:StatusEvent/t:Watermark") != []
    exchange.order(deviate={"no-removal-events": True})
    assert said(anna.ask(pull.format(watermark)), "t:MovedEvent/t:ItemId") == []
    unsubscribe = f"<m:Unsubscribe><m:SubscriptionId>{subscription}</m:SubscriptionId></m:Unsubscribe>"
    assert code(anna.ask(unsubscribe)) == "NoError"
    assert code(anna.ask(pull.format(watermark))) == "ErrorSubscriptionNotFound"


def _deviate(exchange: Exchange, deviation: Deviation, lag: float = 30) -> None:
    exchange.order(deviate={deviation: True}, lag=lag)


def test_a_server_that_ignores_conflicts(exchange: Exchange, anna: Owner) -> None:
    """A stale change key writes."""
    item = exchange.deliver(ANNA, eml())
    stale = anna.change_key(item)
    anna.update(item, new_body("one"))
    _deviate(exchange, Deviation.IGNORE_CONFLICTS)

    assert code(anna.update(item, new_body("two"), key=stale)) == "NoError"

    assert said(anna.item(item), "t:Body") == ["two"]


def test_a_server_that_renumbers_attachments(exchange: Exchange, anna: Owner) -> None:
    """Two ids read beforehand hit a wrong file if they are deleted one after the other, and the right ones at once."""
    item = exchange.deliver(ANNA, eml("S", "a.pdf", "b.pdf", "c.pdf"))
    _deviate(exchange, Deviation.POSITIONAL_ATTACHMENT_IDS)
    first, second, _ = said(anna.item(item), "t:AttachmentId")

    anna.attachments(first, operation="Delete")
    anna.attachments(second, operation="Delete")

    assert said(anna.item(item), "t:FileAttachment/t:Name") == ["b.pdf"]
    other = exchange.deliver(ANNA, eml("S", "a.pdf", "b.pdf", "c.pdf"))
    anna.attachments(*said(anna.item(other), "t:AttachmentId")[:2], operation="Delete")
    assert said(anna.item(other), "t:FileAttachment/t:Name") == ["c.pdf"]


def test_a_server_that_reads_what_was(exchange: Exchange, anna: Owner) -> None:
    """For a while after a change, a read shows the state before it."""
    item = exchange.deliver(ANNA, eml("S", "a.pdf"))
    _deviate(exchange, Deviation.STALE_READS)
    exchange.order(deviate={Deviation.POSITIONAL_ATTACHMENT_IDS: True})
    anna.attachments(*said(anna.item(item), "t:AttachmentId"), operation="Delete")

    stale = anna.item(item)

    assert said(stale, "t:FileAttachment/t:Name") == ["a.pdf"]
    assert code(anna.attachments(*said(stale, "t:AttachmentId"))) == "ErrorItemNotFound"

    exchange.order(elapse=True)
    assert said(anna.item(item), "t:FileAttachment/t:Name") == []


def _attach(anna: Owner, item: str) -> str:
    reply = anna.ask(
        f'<m:CreateAttachment><m:ParentItemId Id="{item}"/><m:Attachments><t:FileAttachment><t:Name>n.png</t:Name>'
        "<t:ContentType>image/png</t:ContentType><t:ContentId>c@example.org</t:ContentId><t:IsInline>true</t:IsInline>"
        "<t:Content>AA==</t:Content></t:FileAttachment></m:Attachments></m:CreateAttachment>"
    )
    return said(reply, "t:AttachmentId")[0]


def test_a_server_whose_attachments_vanish(exchange: Exchange, anna: Owner) -> None:
    """A created attachment is there, and some time later it is not."""
    item = exchange.deliver(ANNA, eml())
    _deviate(exchange, Deviation.VANISHING_ATTACHMENTS)
    attachment = _attach(anna, item)

    assert said(anna.item(item), "t:AttachmentId") == [attachment]

    exchange.order(elapse=True)
    assert said(anna.item(item), "t:AttachmentId") == []
    assert code(anna.attachments(attachment)) == "ErrorItemNotFound"


def test_a_server_that_drops_what_an_attachment_is(exchange: Exchange, anna: Owner) -> None:
    """Content type, content id and the inline mark of a created attachment are lost."""
    item = exchange.deliver(ANNA, eml())
    _attach(anna, item)
    kept = anna.item(item)
    _deviate(exchange, Deviation.PLAIN_ATTACHMENTS)
    _attach(anna, item)

    both = anna.item(item)

    assert (said(kept, "t:ContentId"), said(kept, "t:IsInline")) == (["c@example.org"], ["true"])
    assert said(both, "t:ContentId") == ["c@example.org"]
    assert said(both, "t:IsInline") == ["true", "false"]


def test_a_server_that_tells_no_read_flag_change(exchange: Exchange, anna: Owner) -> None:
    """A changed read flag comes as an Update."""
    item = exchange.deliver(ANNA, eml())
    (state,) = said(anna.sync(), "m:SyncState")
    _deviate(exchange, Deviation.NO_READ_FLAG_CHANGE)
    anna.update(item, setting("message:IsRead", "<t:IsRead>true</t:IsRead>"))

    changes = anna.sync(state)

    assert said(changes, "t:ReadFlagChange/t:ItemId") == []
    assert said(changes, "t:Update/t:Message/t:ItemId") == [item]


def test_whether_reading_changes_the_change_key_is_a_switch(exchange: Exchange, anna: Owner) -> None:
    """Marked as read, an item has a new change key; with the switch it keeps the old one. Neither is documented."""
    item = exchange.deliver(ANNA, eml())
    keys = [anna.change_key(item)]
    for value in ("true", "false"):
        anna.update(item, setting("message:IsRead", f"<t:IsRead>{value}</t:IsRead>"))
        keys.append(anna.change_key(item))
        _deviate(exchange, Deviation.READ_KEEPS_CHANGE_KEY)

    assert len(set(keys)) == 2
    assert keys[1] == keys[2]


def test_changes_are_counted_up_unless_the_server_forgets(exchange: Exchange, anna: Owner) -> None:
    """The list of predecessors ends with the change key, and its counter grows; with the switch it begins anew."""
    tags = "".join(f'<t:ExtendedFieldURI PropertyTag="{tag}" PropertyType="Binary"/>' for tag in ("0x65e2", "0x65e3"))
    more = f"<t:AdditionalProperties>{tags}</t:AdditionalProperties>"
    exchange.deliver(ANNA, eml())
    item = exchange.deliver(ANNA, eml())

    def counter() -> int:
        told = said(anna.item(item, "IdOnly", more), "t:Value")
        change_key, predecessors = map(base64.b64decode, told)
        assert predecessors == bytes([22]) + change_key
        return int.from_bytes(change_key[16:], "big")

    counters = [counter()]
    for _ in range(2):
        anna.update(item, new_body("&lt;p&gt;New&lt;/p&gt;"))
        counters.append(counter())
    assert counters == sorted(set(counters))
    _deviate(exchange, Deviation.LOST_PREDECESSORS)
    anna.update(item, new_body("&lt;p&gt;Newer&lt;/p&gt;"))
    assert counter() < counters[0]


def test_the_scope_of_impersonation_is_narrowed(exchange: Exchange, anna: Owner) -> None:
    """Outside of it, the service account is turned away in the same words as everybody else."""
    exchange.add_mailbox("ben@example.org")
    service = Owner(exchange, exchange.impersonator)
    request = (
        "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>"
        '<m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder>'
    )
    exchange.order(scope=[ANNA.upper()])
    assert code(service.ask(request, impersonate=ANNA)) == "NoError"
    assert code(service.ask(request, impersonate="ben@example.org")) == "ErrorImpersonateUserDenied"
    exchange.order(scope=None)
    assert code(service.ask(request, impersonate="ben@example.org")) == "NoError"


def test_a_server_with_other_dates_and_no_drafts(exchange: Exchange, anna: Owner) -> None:
    """Dates carry nine decimals; a draft says that it is none; imported MIME has lost its time and its id."""
    mime = "TWVzc2FnZS1JRDogPDFAZXhhbXBsZS5vcmc+DQpEYXRlOiBNb24sIDIzIE5vdiAyMDI2IDEwOjAwOjAwICswMDAwDQoNCg=="
    create = (
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message>'
        f"<t:MimeContent>{mime}</t:MimeContent></t:Message></m:Items></m:CreateItem>"
    )
    whole = anna.item(said(anna.ask(create), "t:ItemId")[0])
    assert said(whole, "t:DateTimeReceived") == ["2026-11-23T10:00:00Z"]
    assert (said(whole, "t:IsDraft"), said(whole, "t:InternetMessageId")) == (["true"], ["<1@example.org>"])
    for deviation in (Deviation.DECIMAL_DATES, Deviation.NEVER_DRAFT, Deviation.BARE_IMPORT):
        _deviate(exchange, deviation)

    bare = anna.item(said(anna.ask(create), "t:ItemId")[0])

    assert said(bare, "t:DateTimeSent") == ["2026-11-23T10:00:00.000000000Z"]
    assert said(bare, "t:IsDraft") == ["false"]
    assert said(bare, "t:DateTimeReceived") + said(bare, "t:InternetMessageId") == []


def test_a_server_that_stumbles_over_unknown_folders(exchange: Exchange, anna: Owner, judge: Judge) -> None:
    """An unknown distinguished folder is an error; of a deviating server it is something that is no XML."""
    request = (
        "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>"
        '<t:DistinguishedFolderId Id="archiveroot"/></m:FolderIds></m:GetFolder>'
    )
    assert code(anna.ask(request)) == "ErrorFolderNotFound"
    _deviate(exchange, Deviation.MALFORMED_UNKNOWN_FOLDER)

    assert anna.send(request) == (200, b"<?xml version=")

    judge.complaints.clear()


def test_a_server_that_wants_the_anchor(exchange: Exchange, anna: Owner) -> None:
    """Impersonation without X-AnchorMailbox may be answered 503."""
    _deviate(exchange, Deviation.ANCHOR_REQUIRED)
    service = Owner(exchange, exchange.impersonator)
    request = (
        '<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>anna</m:UnresolvedEntry></m:ResolveNames>'
    )

    assert service.send(request, impersonate=ANNA)[0] == 503

    assert service.send(request, impersonate=ANNA, anchor=ANNA)[0] == 200
    assert anna.send(request)[0] == 200
