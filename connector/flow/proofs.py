"""Before anything is shown in a mailbox: what has to be known of its server, and the brake that stands until it is."""

from collections.abc import Collection, Iterator, Mapping

from connector.flow.turn import Turn, Watch
from connector.ledger import Proved
from connector.log import Event
from connector.model import Proof
from connector.pauses import SourcePause

#: There is one for each way to edit a message.
CERTIFICATES = frozenset({Proof.CERTIFY, Proof.CERTIFY_REPLACE})


def require_proofs(turn: Turn) -> None:
    """Brake the source while something that it needs is not proved on its server; free it when all is.

    A proof holds for the build that it was made on: after an update of the server the brake stands again.
    """
    watch = turn.watch
    known = turn.ledger.proofs(watch.tenant, watch.source.server) if watch.needs else {}
    passed = {proof for proof, proved in known.items() if proved.passed}
    if watch.waived_by and CERTIFICATES & watch.needs - passed:
        _waive(turn, known)
    lacking = "; ".join(_lacking(watch.needs - passed, watch, known))
    if lacking:
        reason = f"nothing is linked or removed on {watch.source.server}: {lacking}"
        turn.brake(SourcePause.PROOF, Event.SOURCE_UNPROVED, reason, "Unproved")
    else:
        turn.free(SourcePause.PROOF)


def _lacking(needed: Collection[Proof], watch: Watch, known: Mapping[Proof, Proved]) -> Iterator[str]:
    """What is missing, and what to do about it."""
    if Proof.PUT_BACK in needed:
        yield f"that attachments can be put back {_how(Proof.PUT_BACK, known)}; call `connector check`"
    for certificate in () if watch.waived_by else CERTIFICATES.intersection(needed):
        yield (
            f"that an edited message stays right for its clients {_how(certificate, known)}; call `connector certify`,"
            " or name in `waive_certify` who answers for doing without"
        )


def _how(proof: Proof, known: Mapping[Proof, Proved]) -> str:
    return "was disproved" if proof in known else "is not proved"


def _waive(turn: Turn, known: Mapping[Proof, Proved]) -> None:
    watch = turn.watch
    if Proof.WAIVER in known and known[Proof.WAIVER].by == watch.waived_by:
        return
    waiver = Proved(
        tenant=watch.tenant,
        server=watch.source.server,
        proof=Proof.WAIVER,
        passed=True,
        at=turn.clock(),
        by=watch.waived_by,
    )
    turn.ledger.prove(waiver, Event.PROOF_WAIVED)
