"""Thunderbird in its Graph mode reads a mailbox of the simulated Graph."""

from pathlib import Path

from connector.simulator import Exchange
from tests.conformance.thunderbird import thunderbird
from tests.test_simulator_graph_mail import ANNA, PDF, letter


def test_thunderbird_reads_mail_over_graph(exchange: Exchange, tmp_path: Path) -> None:
    """Folders, delta, and the message itself with its attachments."""
    account = exchange.add_mailbox(ANNA)
    exchange.deliver(ANNA, letter())
    with thunderbird(tmp_path) as reader:
        reader.add_account(exchange.graph.removesuffix("/v1.0"), account, kind="graph")
        shown = reader.open("plans@example.org")

    assert shown.subject.endswith("Plans")
    assert "See" in shown.text
    assert ("plan.pdf", "application/pdf", PDF) in shown.files
    assert "GET mailFolders/delta" in exchange.seen
    assert {"GET messages/delta", "GET messages/$value", "POST $batch"} <= set(exchange.seen)
