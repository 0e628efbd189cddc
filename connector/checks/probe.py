"""A mailbox for trials alone: what has to be known of a server is tried there, on messages of our own."""

import io
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from email import policy
from email.message import EmailMessage
from typing import NamedTuple, Protocol

from connector.model import File, Item, Notice
from connector.rewrite import markup
from connector.rewrite import text as plain
from connector.sources import Source
from connector.spool import Spool, spooled

#: A red dot, as PNG.
_PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)
#: Neither ASCII nor without a space.
_NAME = "a tri\N{LATIN SMALL LETTER A WITH DIAERESIS}l.bin"
_PICTURE_ID = "picture@connector.invalid"
#: Every byte there is, and a length that base64 has to pad.
_CONTENT = bytes(range(256)) * 40 + b"."


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """A message for a trial, as its mailbox is to have it."""

    mime: bytes
    read: bool = False
    flagged: bool = False
    categories: tuple[str, ...] = ()
    #: Instead of the body in `mime`: one in RTF, as Outlook writes it between people of one organisation.
    rtf: str = ""


class Probe(Source, Protocol):
    """A source in which messages may be made and deleted, beside what every source can."""

    def make(self, letter: Letter) -> str:
        """Put it into the Inbox as if it had come in; its id. Not to be repeated: it would be there twice."""
        ...

    def made(self, trial: str) -> tuple[str, ...]:
        """The ids of all messages, in every folder, that were made for this trial: by their Message-ID."""
        ...

    def properties(self, item_id: str) -> Mapping[str, str]:
        """All that the server tells of it beside body and files, by the names of [MS-OXPROPS]. Raises Gone."""
        ...

    def delete(self, item_id: str) -> None:
        """Delete it for good. What is not there any more counts as deleted."""
        ...


class ShareProbe(Source, Protocol):
    """A share in which files may be made and deleted, beside what every source can."""

    def make(self, name: str, content: bytes) -> str:
        """A file of this name, in a place for trials; its id. One that is there gets this content."""
        ...

    def clear(self, name: str) -> None:
        """Recycle all files there whose names begin so. What is not there any more counts as recycled."""
        ...


class Seen(NamedTuple):
    """A file in a message: all that must be the same when it was put back."""

    name: str
    content_type: str
    content_id: str
    inline: bool
    size: int
    sha256: str


@contextmanager
def trying(probe: Probe, trial: str) -> Iterator[Callable[[Letter], str]]:
    """Hands out what makes a message. Before and afterwards none is there, also where an earlier trial was killed."""
    known: list[str] = []

    def make(letter: Letter) -> str:
        known.append(probe.make(letter))
        return known[-1]

    _clean(probe, probe.made(trial))
    try:
        yield make
    finally:
        # By their ids too: some servers drop the Message-ID of what they are given.
        _clean(probe, {*known, *probe.made(trial)})


def _clean(probe: Probe, ids: Iterable[str]) -> None:
    for item_id in ids:
        probe.delete(item_id)


def sender(trial: str) -> str:
    """Who writes the messages of this trial: nobody else has such an address."""
    return f"{trial}@connector.invalid"


def mime(trial: str, recipient: str, text: str, *, html: bool) -> bytes:
    """A message of this trial, with a file; where it is in HTML, also with a picture within the text."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = f"connector <{sender(trial)}>"
    message["To"] = recipient
    message["Subject"] = f"A trial of connector, may be deleted ({trial})"
    message["Message-ID"] = f"<{trial}.{secrets.token_hex(8)}@connector.invalid>"
    if html:
        shown = f'<html><body><p>{text}</p><p><img src="cid:{_PICTURE_ID}"></p></body></html>\r\n'
        message.set_content(shown, subtype="html", cte="base64")
        message.add_related(_PICTURE, "image", "png", filename="dot.png", disposition="inline", cid=f"<{_PICTURE_ID}>")
    else:
        message.set_content(f"{text}\r\n", cte="base64")
    message.add_attachment(_CONTENT, "application", "octet-stream", filename=_NAME)
    return message.as_bytes()


def seen(probe: Probe, item: Item) -> tuple[Seen, ...]:
    """All files of the item, as they are now; their order is not kept by Exchange."""
    with ExitStack() as opened:
        return tuple(sorted(_seen(file, content) for file, content in _contents(probe, item, opened)))


def _seen(file: File, content: Spool) -> Seen:
    return Seen(file.name, file.content_type, file.content_id, file.inline, content.size, content.sha256)


def _contents(probe: Probe, item: Item, opened: ExitStack) -> list[tuple[File, Spool]]:
    contents = []
    for file in item.files:
        with probe.open(item.id, file.id) as stream:
            contents.append((file, opened.enter_context(spooled(stream))))
    return contents


# --- what was taken out can be put back ---------------------------------------------------------------------------

_PUT_BACK = "connector-check"
_REDIRECT = "CONNECTORCHECK"
_NOTICE = Notice(
    redirect_id=_REDIRECT,
    marker=f"1.{_REDIRECT}.0.00",
    html=markup.wrapped(_REDIRECT, "A trial."),
    text=plain.wrapped(_REDIRECT, "A trial."),
    urls=(),
)


def try_put_back(probe: Probe) -> tuple[str, ...]:
    """Show a notice in a message of our own, take its files out, and put all back; a sentence for what went wrong.

    Raises what the verbs of a source raise.
    """
    with trying(probe, _PUT_BACK) as make:
        item_id = make(Letter(mime=mime(_PUT_BACK, probe.address, "This is a trial.", html=True)))
        return tuple(_put_back(probe, item_id))


def _put_back(probe: Probe, item_id: str) -> Iterator[str]:
    item = probe.fetch(item_id)
    probe.rewrite(item, _NOTICE)
    shown = probe.fetch(item_id)
    if shown.body == item.body or shown.marker != _NOTICE.marker:
        yield "a message that was changed is still as it was"
    probe.retract(shown, _REDIRECT)
    if probe.fetch(item_id).body != item.body:
        yield "a text that was changed and changed back is another one"
    item = probe.fetch(item_id)
    with ExitStack() as opened:
        taken = _contents(probe, item, opened)
        probe.prune(item, [file.id for file, _ in taken])
        item = probe.fetch(item_id)
        if item.files:
            yield "attachments that were removed are still listed"
        for file, content in taken:
            probe.put_back(item, file, content)
        before = sorted(_seen(file, content) for file, content in taken)
    after = seen(probe, probe.fetch(item_id))
    if not before or len(after) != len(before):
        yield f"of {len(before)} attachments that were taken out, {len(after)} are there after they went back"
    for old, new in zip(before, after, strict=False):
        changed = [what for what, one, other in zip(Seen._fields, old, new, strict=True) if one != other]
        if changed:
            yield f"what was put back differs from what was taken out: {', '.join(changed)}"


def try_put_back_file(probe: ShareProbe) -> tuple[str, ...]:
    """Let a file of our own give way to a pointer, and come back; a sentence for each thing that went wrong.

    Raises what the verbs of a source raise.
    """
    probe.clear(_PUT_BACK)
    try:
        return tuple(_put_back_file(probe, probe.make(f"{_PUT_BACK}.bin", _CONTENT)))
    finally:
        probe.clear(_PUT_BACK)


def _put_back_file(probe: ShareProbe, item_id: str) -> Iterator[str]:
    item = probe.fetch(item_id)
    probe.rewrite(item, replace(_NOTICE, urls=("https://connector.invalid/trial",)))
    shown = probe.fetch(item_id)
    if not shown.pointer or shown.body is None:
        yield "no pointer stands beside a file that was to have one"
        return
    probe.prune(shown, [file.id for file in shown.files])
    left = probe.fetch(shown.pointer)
    if left.files:
        yield "a file that was recycled is still there"
    with spooled(io.BytesIO(_CONTENT)) as content:
        probe.put_back(left, item.files[0], content)
    back = probe.fetch(shown.pointer)
    if not back.files or _read(probe, back) != _CONTENT:
        yield "what came back is not the file that had been there"
    probe.retract(back, _REDIRECT)


def _read(probe: ShareProbe, item: Item) -> bytes:
    with probe.open(item.id, item.files[0].id) as stream:
        return stream.read()
