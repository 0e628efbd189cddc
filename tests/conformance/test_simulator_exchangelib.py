"""exchangelib takes the simulated Exchange for a real one."""

import threading
from datetime import UTC, datetime

import pytest
from exchangelib import BASIC, NTLM, ExtendedProperty, FileAttachment, HTMLBody, ItemAttachment, Message, Q
from exchangelib.errors import ErrorImpersonateUserDenied, ErrorIrresolvableConflict, ErrorItemNotFound, ErrorServerBusy

from connector.simulator import Exchange
from tests.exchange import Owner, outlook, through_exchangelib
from tests.test_simulator import ANNA, eml


class _Marker(ExtendedProperty):  # type: ignore[misc]  # exchangelib ships no types
    property_set_id = "8d3a1f6e-2a51-4f0b-9d7e-6f5c1b0a9e11"
    property_name = "connector"
    property_type = "String"


@pytest.mark.usefixtures("anna")
def test_lists_and_reads(exchange: Exchange) -> None:
    """A message is listed by a filter and read with its body, its dates and the bytes of its files."""
    exchange.deliver(ANNA, eml("one", "a.pdf"))
    exchange.deliver(ANNA, eml("two"))

    (message,) = outlook(exchange, ANNA).inbox.filter(Q(subject__icontains="ONE") & Q(has_attachments=True))

    assert (message.subject, message.message_id, message.author.email_address) == (
        "one",
        "<one@example.org>",
        "ben@example.org",
    )
    assert "<p>Hello</p>" in message.body
    assert abs(message.datetime_received - datetime.now(UTC)).total_seconds() < 60
    (attachment,) = message.attachments
    assert attachment.content == b"a.pdf"
    assert attachment.size > len(attachment.content)


@pytest.mark.usefixtures("anna")
def test_synchronises(exchange: Exchange) -> None:
    """sync_items and sync_hierarchy tell what is new since the state, and nothing twice."""
    account = outlook(exchange, ANNA)
    item = exchange.deliver(ANNA, eml())
    assert [(kind, each.id) for kind, each in account.inbox.sync_items()] == [("create", item)]
    message = account.inbox.get(subject="S")
    message.is_read = True
    message.save(update_fields=["is_read"])
    state = account.inbox.item_sync_state
    assert [(kind, each[0].id) for kind, each in account.inbox.sync_items(sync_state=state)] == [
        ("read_flag_change", item)
    ]
    assert list(account.inbox.sync_items(sync_state=account.inbox.item_sync_state)) == []
    created = [(kind, folder.name) for kind, folder in account.root.sync_hierarchy()]
    assert ("create", "Inbox") in created


@pytest.mark.usefixtures("anna")
def test_updates_and_conflicts(exchange: Exchange) -> None:
    """Body and marker are saved at once; a copy that was read before cannot overwrite them."""
    Message.register("simulator_marker", _Marker)
    try:
        account = outlook(exchange, ANNA)
        exchange.deliver(ANNA, eml())
        first, second = account.inbox.get(subject="S"), account.inbox.get(subject="S")
        first.body, first.simulator_marker = HTMLBody("<p>new\r\n</p>"), "m1"
        first.save(update_fields=["body", "simulator_marker"], conflict_resolution="NeverOverwrite")

        second.body = HTMLBody("lost")
        with pytest.raises(ErrorIrresolvableConflict):
            second.save(update_fields=["body"], conflict_resolution="NeverOverwrite")

        (found,) = account.inbox.filter(simulator_marker="m1")
        assert (found.body, found.simulator_marker) == ("<p>new\r\n</p>", "m1")
        found.categories = ["Red"]
        found.save()  # all fields, as a user's client does
        assert account.inbox.get(subject="S").categories == ["Red"]
    finally:
        Message.deregister("simulator_marker")


@pytest.mark.usefixtures("anna")
def test_attachments(exchange: Exchange) -> None:
    """Files and messages are attached before and after saving, read by streaming, and detached."""
    account = outlook(exchange, ANNA)
    content = bytes(range(256)) * 2000
    draft = Message(account=account, folder=account.drafts, subject="draft", body="text")
    draft.attach(FileAttachment(name="before.bin", content=content))
    draft.save()
    draft.attach(FileAttachment(name="after.png", content=b"png", is_inline=True, content_id="c@example.org"))
    draft.attach(ItemAttachment(name="inner", item=Message(subject="inner", body="inside")))

    fresh = account.drafts.get(subject="draft")

    assert fresh.is_draft
    files = {each.name: each for each in fresh.attachments}
    before, after, inner = (files[name] for name in ("before.bin", "after.png", "inner"))
    with before.fp as stream:
        assert b"".join(iter(lambda: stream.read(65536), b"")) == content
    assert (after.is_inline, after.content_id, after.content) == (True, "c@example.org", b"png")
    assert (inner.item.subject, inner.item.body) == ("inner", "inside")
    fresh.detach([before, inner])
    assert [each.name for each in account.drafts.get(subject="draft").attachments] == ["after.png"]


@pytest.mark.usefixtures("anna")
def test_moves_copies_and_deletes(exchange: Exchange) -> None:
    """A moved item has another id, a copy too; the old id is gone; deletions end where they should."""
    account = outlook(exchange, ANNA)
    old = exchange.deliver(ANNA, eml())
    message = account.inbox.get(subject="S")
    message.copy(account.drafts)
    message.move(account.sent)
    assert message.id != old
    assert isinstance(next(iter(account.fetch([(old, None)]))), ErrorItemNotFound)
    message.move_to_trash()
    account.drafts.get(subject="S").soft_delete()
    assert account.trash.all().count() == 1
    assert account.recoverable_items_deletions.all().count() == 1
    assert account.inbox.all().count() + account.drafts.all().count() + account.sent.all().count() == 0


@pytest.mark.parametrize("auth_type", [BASIC, NTLM])
def test_logs_in_and_impersonates(exchange: Exchange, anna: Owner, auth_type: str) -> None:
    """Basic and NTLM open the own mailbox; the service account opens all, and nobody else does."""
    exchange.deliver(ANNA, eml())
    ben = exchange.add_mailbox("ben@example.org")
    short = {**anna.account, "user": "EXAMPLE\\anna"}

    for login, mailbox in ((anna.account, ""), (exchange.impersonator, ANNA), (short, "")):
        assert through_exchangelib(exchange, login, auth_type, impersonate=mailbox).inbox.total_count == 1
    with pytest.raises(ErrorImpersonateUserDenied):
        _ = through_exchangelib(exchange, ben, BASIC, impersonate=ANNA).inbox.total_count


@pytest.mark.usefixtures("anna")
def test_listens_to_a_stream(exchange: Exchange) -> None:
    """A new message is told over a streaming subscription."""
    account = outlook(exchange, ANNA)
    with account.inbox.streaming_subscription() as subscription:
        threading.Timer(0.3, exchange.deliver, (ANNA, eml())).start()
        stream = account.inbox.get_streaming_events(subscription, connection_timeout=1, max_notifications_returned=1)
        (notification,) = stream
    assert [type(event).__name__ for event in notification.events] == ["CreatedEvent", "NewMailEvent"]


@pytest.mark.usefixtures("anna")
@pytest.mark.parametrize(("status", "back_off"), [(500, 7), (200, 10)])
def test_hears_to_stay_away(exchange: Exchange, status: int, back_off: int) -> None:
    """ErrorServerBusy arrives, with its back-off in a fault; in a result exchangelib does not look for one."""
    inbox = outlook(exchange, ANNA).inbox
    exchange.order(throttle={"requests": 1, "back_off": 7000, "status": status})

    with pytest.raises(ErrorServerBusy) as busy:
        list(inbox.all())

    assert busy.value.back_off == back_off
