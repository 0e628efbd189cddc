"""Verify an export of connector's audit trail: python verify.py EXPORT.jsonl [ANCHORS...] [--tenant NAME].

Knows SPECIFICATION.md, which lies beside it, and nothing else: one file, the standard library, no line of connector's.

Prints what is wrong, by line and number, and what was verified. Ends with 0 where nothing is wrong, with 1 where
something is, and with 2 where a file cannot be read.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_EVENT = {"at": str, "detail": dict, "hash": str, "name": str, "number": int, "previous": str, "redirect_id": str}
_EVENT |= {"source": str, "tenant": str}
_PLACE = {"hash": str, "number": int}
_HEAD = {"begins": dict, "cut": dict, "ends": dict, "exported": str, "format": int, "software": str, "tenant": str}
_ANCHOR = {"at": str, "hash": str, "number": int, "tenant": str}
_HASH = re.compile(r"[0-9a-f]{64}")
_SYSLOG = re.compile(r'\[anchor@32473 tenant="([^"]*)" number="(\d+)" hash="([0-9a-f]{0,64})"\]')


class Wrong(Exception):
    """What a line may not be; the sentence says why."""


@dataclass
class Chain:
    """One tenant's part of an export, as far as it was read."""

    tenant: str
    begins: tuple[int, str]
    cut: tuple[int, str]
    ends: tuple[int, str]
    at: tuple[int, str] = (0, "")
    vouched: bool = False
    broken: bool = False
    #: The hashes of events by their numbers, for the anchors.
    hashes: dict[int, str] = field(default_factory=dict)


@dataclass
class Report:
    """What was found."""

    wrong: list[str] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)


def verify(lines: Iterable[bytes], anchors: Iterable[str] | None = None, tenant: str = "") -> Report:
    """Verify an export, against anchors where there are any; `tenant` says that the export is to have no other."""
    report, chains = Report(), {}
    for chain in _chains(lines, report):
        _close(chain, report)
        if chain.tenant in chains:
            report.wrong.append(f"tenant {chain.tenant}: its chain is there twice")
        chains[chain.tenant] = chain
    if not chains and not report.wrong:
        report.wrong.append("the file holds no chain: an audit trail that was emptied looks like this")
    if tenant and tenant not in chains:
        report.wrong.append(f"tenant {tenant}: its chain is not in the file")
    if anchors is None:
        report.verified.append(
            "without anchors nobody can tell a chain that was computed anew, or whose end was removed, from this one"
        )
    for number, line in enumerate(anchors or (), 1):
        _against_anchor(number, line, chains, tenant, report)
    return report


def canonical(said: dict[str, Any]) -> bytes:
    """The one form of an object."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def _chains(lines: Iterable[bytes], report: Report) -> Iterator[Chain]:
    """The chains of a file, each when its last line was read."""
    chain: Chain | None = None
    for number, line in enumerate(lines, 1):
        try:
            said = _object(line)
            if "format" in said:
                if chain:
                    yield chain
                chain = _head(said)
            elif chain is None or not chain.broken:
                _event(said, chain)
        except Wrong as why:
            report.wrong.append(f"line {number}: {why}")
            if chain:
                chain.broken = True
    if chain:
        yield chain


def _object(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise Wrong("it is cut off: it has no end of line")
    try:
        said = json.loads(line, parse_constant=_no_number)
        form = canonical(said) if isinstance(said, dict) else b""
    except (ValueError, RecursionError):
        raise Wrong("it is no JSON object") from None
    if form != line[:-1]:
        raise Wrong("it is not in the canonical form: somebody has written it anew")
    return dict(said)


def _no_number(said: str) -> float:
    raise ValueError(said)


def _shape(said: dict[str, Any], members: dict[str, type], what: str) -> None:
    if said.keys() != members.keys() or any(type(said[name]) is not kind for name, kind in members.items()):
        raise Wrong(f"it is no {what}: members are missing, too many, or of another type")


def _head(said: dict[str, Any]) -> Chain:
    _shape(said, _HEAD, "head of a chain")
    if said["format"] != 1:
        raise Wrong(f"format {said['format']} is none that this verifier knows")
    places = []
    for name in ("begins", "cut", "ends"):
        _shape(said[name], _PLACE, "head of a chain")
        number, digest = said[name]["number"], said[name]["hash"]
        if number < 0 or bool(number) != bool(_HASH.fullmatch(digest)) or (digest and not number):
            raise Wrong(f"its member {name} names no event")
        places.append((number, digest))
    begins, cut, ends = places
    if not cut[0] <= begins[0] <= ends[0] or (begins[0] == cut[0] and begins != cut):
        raise Wrong("its places contradict one another")
    return Chain(tenant=said["tenant"], begins=begins, cut=cut, ends=ends, at=begins, vouched=cut[0] == 0)


def _event(said: dict[str, Any], chain: Chain | None) -> None:
    _shape(said, _EVENT, "event")
    if chain is None:
        raise Wrong("an event without the head of its chain")
    number, (last, digest) = said["number"], chain.at
    if said["tenant"] != chain.tenant:
        raise Wrong(f"event {number} is of tenant {said['tenant']}, in the chain of {chain.tenant}")
    if number != last + 1:
        what = f"event {last + 1} is missing" if number > last + 1 else f"event {number} stands in the wrong place"
        raise Wrong(f"{what}: event {number} follows event {last}")
    if said["previous"] != digest:
        raise Wrong(f"event {number} does not follow the event {last} that is here: one of the two was changed")
    unsigned = {name: value for name, value in said.items() if name not in {"hash", "previous"}}
    if said["hash"] != hashlib.sha256(digest.encode() + canonical(unsigned)).hexdigest():
        raise Wrong(f"event {number} is not what was written: its hash is another one")
    if said["name"] == "audit.trimmed" and (said["detail"].get("number"), said["detail"].get("hash")) == chain.cut:
        chain.vouched = True
    chain.at = (number, said["hash"])
    chain.hashes[number] = said["hash"]


def _close(chain: Chain, report: Report) -> None:
    if chain.broken:
        return
    who, (first, _), (last, _) = f"tenant {chain.tenant}", chain.begins, chain.at
    if chain.at[0] < chain.ends[0]:
        report.wrong.append(
            f"{who}: its end is cut off: event {last + 1} and what follows, up to {chain.ends[0]}, is missing"
        )
    elif chain.at != chain.ends:
        report.wrong.append(
            f"{who}: it does not end as its head says: event {last} is not the one that was exported last"
        )
    whole = first == chain.cut[0]
    if whole and not chain.vouched:
        report.wrong.append(
            f"{who}: its front is cut off: events 1 to {first} are missing, and no event says that they may be"
        )
    begin = f"events {first + 1} to {last}" if last > first else "no event"
    report.verified.append(f"{who}: {begin} form a chain")
    if not whole:
        report.verified.append(f"{who}: this is a part; events {chain.cut[0] + 1} to {first} are not in the file")
    elif first:
        report.verified.append(f"{who}: events 1 to {first} are gone, as the retention of the audit trail wants it")


def _against_anchor(number: int, line: str, chains: dict[str, Chain], only: str, report: Report) -> None:
    found = _SYSLOG.search(line)
    try:
        if found:
            tenant, place = found[1], (int(found[2]), found[3])
        elif not line.strip():
            return
        else:
            said = json.loads(line)
            _shape(said if isinstance(said, dict) else {}, _ANCHOR, "anchor")
            tenant, place = said["tenant"], (said["number"], said["hash"])
    except (ValueError, Wrong):
        report.wrong.append(f"anchor {number}: it is no anchor")
        return
    if only and tenant != only:
        return
    chain = chains.get(tenant)
    where = f"anchor {number}: tenant {tenant}"
    if chain is None:
        report.wrong.append(f"{where}: its chain had {place[0]} events, and is not in the file")
    elif chain.broken or place[0] == 0 or place[0] < chain.begins[0]:
        return
    elif place[0] > chain.at[0]:
        report.wrong.append(f"{where}: its chain had {place[0]} events, and has {chain.at[0]}: its end was removed")
    elif (chain.begins[1] if place[0] == chain.begins[0] else chain.hashes[place[0]]) != place[1]:
        report.wrong.append(f"{where}: event {place[0]} is not the one of then: the chain was computed anew")
    else:
        report.verified.append(f"{where}: event {place[0]} is the one of then")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Verify an export of connector's audit trail.")
    parser.add_argument("export", type=Path)
    parser.add_argument("anchors", type=Path, nargs="*", help="files of anchors, or of syslog's lines of them")
    parser.add_argument("--tenant", default="", help="the file is to hold this tenant alone")
    said = parser.parse_args()
    try:
        anchors = [
            line
            for path in said.anchors
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith("{") or "anchor@32473" in line
        ]
        with said.export.open("rb") as lines:
            report = verify(lines, anchors if said.anchors else None, said.tenant)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for sentence in report.wrong:
        sys.stdout.write(f"WRONG    {sentence}\n")
    for sentence in report.verified:
        sys.stdout.write(f"verified {sentence}\n")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
