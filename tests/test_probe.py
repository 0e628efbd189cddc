"""The mailbox for trials on Exchange: what is made there is as it was asked for, and is found and deleted again."""

import base64
from typing import Any

import pytest

from connector.checks.probe import Letter, mime, try_put_back
from connector.errors import Gone, Rejected
from connector.simulator import Exchange
from connector.sources.ews.probe import EwsProbe
from connector.sources.ews.properties import PROPERTIES
from tests.ews import settings
from tests.exchange import outlook

PROBE = "probe@example.org"


@pytest.fixture(params=[True, False], ids=["impersonation", "full access"])
def probe(exchange: Exchange, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> EwsProbe:
    """The mailbox, by an account that may impersonate, or that is its owner."""
    owner = exchange.add_mailbox(PROBE)
    account = exchange.impersonator if request.param else owner
    monkeypatch.setenv("EWS_PASSWORD", account["password"])
    made = settings(exchange, probe=PROBE, impersonation=request.param, user=account["user"]).probe_source()
    assert made
    return made


def test_a_message_is_made_as_one_that_came_in(exchange: Exchange, probe: EwsProbe) -> None:
    """In the Inbox, no draft, read or unread, with flag and category; it is deleted for good, and then again."""
    text = mime("trial", PROBE, "Text", html=True)
    new = probe.make(Letter(mime=text))
    old = probe.make(Letter(mime=text, read=True, flagged=True, categories=("Red", "Blue")))
    seen = {item.id: item for item in outlook(exchange, PROBE).inbox.all()}
    assert [(seen[each].is_draft, seen[each].is_read) for each in (new, old)] == [(False, False), (False, True)]
    assert [seen[each].categories for each in (new, old)] == [None, ["Red", "Blue"]]
    assert [file.is_inline for file in seen[new].attachments] == [True, False]
    told = [probe.properties(each) for each in (new, old)]
    assert [each.get("FlagStatus") for each in told] == [None, "2"]
    assert [each["InternetMessageId"][:7] for each in told] == ["<trial.", "<trial."]
    assert set(probe.made("trial")) == {new, old}
    for item_id in (new, old, new):
        probe.delete(item_id)
    assert probe.made("trial") == ()
    with pytest.raises(Gone):
        probe.properties(new)


def test_a_body_in_rtf_is_one(exchange: Exchange, probe: EwsProbe) -> None:
    """Not compressed, which the format allows [MS-OXRTFCP]: two sizes, MELA, a checksum of nothing, and the text."""
    told = probe.properties(probe.make(Letter(mime=mime("trial", PROBE, "Text", html=False), rtf="Text")))
    content = memoryview(base64.b64decode(told["RtfCompressed"]))
    assert told["NativeBody"] == "2"
    assert int.from_bytes(content[:4], "little") == len(content) - 4
    assert int.from_bytes(content[4:8], "little") == len(content) - 16
    assert (bytes(content[8:16]), bytes(content[16:21])) == (b"MELA\0\0\0\0", b"{\\rtf")


def test_properties_that_the_server_refuses_do_not_hide_the_others(
    probe: EwsProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses the whole request for one of them; all others are told, and it is asked only once so often."""
    item_id = probe.make(Letter(mime=mime("trial", PROBE, "Text", html=False)))
    everything = probe.properties(item_id)
    del probe._askable
    refused = {"Subject", "ChangeKey"}
    tags = {dict(each.field).get("PropertyTag") for each in PROPERTIES if each.name in refused}
    ask, asked = probe._connection.ask, [0]

    def refusing(request: Any, filling: Any = None) -> Any:
        asked[0] += 1
        if any(path.get("PropertyTag") in tags for path in request.iter("{*}ExtendedFieldURI")):
            raise Rejected("refused")
        return ask(request, filling)

    monkeypatch.setattr(probe._connection, "ask", refusing)
    expected = {name: value for name, value in everything.items() if name not in refused}
    assert probe.properties(item_id) == expected
    first, asked[0] = asked[0], 0
    assert first < 40
    assert probe.properties(item_id) == expected
    assert asked[0] == 1


def test_what_was_taken_out_goes_back_as_it_was(exchange: Exchange, probe: EwsProbe) -> None:
    """And whoever looks afterwards finds nothing."""
    assert try_put_back(probe) == ()
    assert list(outlook(exchange, PROBE).root.glob("**/*").all()) == []


@pytest.mark.parametrize("deviation", ["positional-attachment-ids", "bare-import", "never-draft", "decimal-dates"])
def test_a_server_may_be_otherwise_where_it_does_no_harm(exchange: Exchange, probe: EwsProbe, deviation: str) -> None:
    """Also where it drops the Message-ID: what was made is deleted by its id."""
    exchange.order(deviate={deviation: True})
    assert try_put_back(probe) == ()
    assert list(outlook(exchange, PROBE).root.glob("**/*").all()) == []
