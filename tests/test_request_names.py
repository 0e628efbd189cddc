"""A line that tells a server's failure names the request as those who run the server find it, and stays one line."""

import re
from datetime import timedelta
from typing import Any

import pytest

from connector.errors import Denied, Unavailable, request_in
from connector.flow.turn import leave_alone
from connector.ledger import Ledger
from connector.simulator import Exchange
from connector.sources import Source
from tests import ews, graph_mail
from tests.logged import Lines, lines
from tests.test_ledger import NOW
from tests.test_simulator import ANNA

__all__ = ["lines"]

pytest_plugins = ["tests.postgres"]

_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def source(protocol: str, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Source:
    """Anna's mailbox."""
    monkeypatch.setenv("GRAPH_SECRET", exchange.client["secret"])
    monkeypatch.setenv("EWS_PASSWORD", exchange.impersonator["password"])
    exchange.add_mailbox(ANNA)
    settings: Any = ews.settings(exchange) if protocol == "ews" else graph_mail.settings(exchange, mailboxes=(ANNA,))
    made: Source = settings.source(ANNA)
    return made


@pytest.mark.parametrize("status", [200, 500, 503])
@pytest.mark.parametrize(("protocol", "had"), [("ews", ", X-FEServer SIMULATOR"), ("graph", "")])
def test_what_failed_is_found_by_its_ids(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, status: int, protocol: str, had: str
) -> None:
    """Theirs and ours; another request has others, and the sentence for people is the same."""
    asked = source(protocol, exchange, monkeypatch)
    exchange.order(throttle={"share": 1.0, "back_off": 1, "status": status, "seed": 1})
    found = []
    for _ in range(2):
        with pytest.raises(Unavailable) as failed:
            list(asked.changes(None))
        found.append(failed.value)
    assert all(re.fullmatch(rf"request-id {_ID}, client-request-id {_ID}{had}", each.request) for each in found)
    assert len({each.request for each in found}) == 2
    assert len({str(each) for each in found}) == 1


def test_what_is_no_id_is_left_out() -> None:
    """Whoever answers in the place of the server writes nothing into our log."""
    assert request_in({"request-id": "7f\nx", "X-FEServer": "EX-01.example.org", "RequestId": "a b"}) == (
        "X-FEServer EX-01.example.org"
    )


def test_the_log_names_the_request_and_counts_what_is_said_again(ledger: Ledger, lines: Lines) -> None:
    """Each failure has another id; it is the same failure all the same."""
    for number in range(3):
        error = Denied("mail.example.org refuses it")
        error.request = f"request-id {number}"
        leave_alone("acme/anna", error, ledger, NOW + timedelta(seconds=number), "acme")
    (told,) = lines()
    assert (told["event"], told["request"]) == ("source.denied", "request-id 0")
