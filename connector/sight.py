"""What a fresh look at an item says about the files that are on their way. Pure."""

import hashlib
from dataclasses import replace
from datetime import datetime

from connector import marker, names
from connector.model import File, Item, LinkTerms, Message, Redirect, RedirectedFile, Stored


def bears_mark(item: Item, redirect: Redirect) -> bool:
    """Whether the marker of the item names this redirect: it was the last that was written into it."""
    return marker.names(item.marker) == redirect.id


def was_shown_in(item: Item, redirect: Redirect) -> bool:
    """Whether the notice was written into the item at some time: the marker comes with the same write.

    A notice whose marker was lost, or is another redirect's by now, counts too: what it links to may be all there is.
    """
    return bears_mark(item, redirect) or (item.body is not None and redirect.id in item.body.content)


def seen_in(item: Item, redirect: Redirect, *, attempted: bool) -> Redirect:
    """The redirect, with its files as the item has them now.

    A file under another id, but otherwise the same, is followed: some servers number attachments anew.
    A file that changed loses its proof and gets a path of its own: other bytes never replace stored ones.
    A file that is not there any more is out of the redirect, but only where the links were never shown
    (`attempted` is False): afterwards the store may hold the only copy.
    """
    left = list(item.files)
    seen: dict[str, File] = {}
    # Once an original may be gone, a file that only looks like it may be another one that the user attached since.
    for same in (_untouched, _renumbered, _edited if attempted else _replaced):
        for each in redirect.attached:
            if each.path not in seen and (found := next((file for file in left if same(file, each.file)), None)):
                seen[each.path] = found
                left.remove(found)
    for each in redirect.attached:
        redirect = _with_new(redirect, each, _now(each, seen.get(each.path), redirect, attempted=attempted))
    return redirect


def needless(redirect: Redirect, item: Item) -> tuple[Stored, ...]:
    """What is stored of files that the item keeps, or that have changed in it since: no message is to show it.

    Once links were shown, only what never had one, and what is in the item for certain: the rest may be all there is.
    """
    live = {each.path for each in redirect.live}
    return tuple(
        each.stored
        for each in redirect.files
        if each.stored
        and each.path not in live
        and (not redirect.was_shown or (each.link is None and untouched(item, each)))
    )


def read_anew(before: Redirect, now: Redirect) -> Redirect:
    """The redirect as it is seen `now`, without the proof of files that have other ids than `before`.

    They were read by their ids, and where ids are positions, that may have been other files.
    """
    for old, each in zip(before.files, now.files, strict=False):  # What changed has got its old one behind all.
        if each.file.id != old.file.id:
            now = _with_new(now, each, replace(each, path=_another_path(each, now), stored=None, link=None))
    return now


def followed(redirect: Redirect, item: Item) -> Redirect:
    """The redirect, with its files as the item has them after a move, which gave them new ids.

    They keep their version: whether a file that looks alike is the one that was copied, the next look has to tell.
    Where an original may be gone, one that looks alike but has another version is another one.
    """
    left = list(item.files)
    files = []
    for each in redirect.files:
        same = _renumbered if redirect.was_shown else _alike
        twin = next((file for file in left if same(file, each.file)), None) if not each.inside else None
        if twin:
            left.remove(twin)
        files.append(replace(each, file=replace(twin, version=each.file.version) if twin else each.file))
    return replace(redirect, files=tuple(files))


def alike(item: Item, each: RedirectedFile) -> tuple[File, ...]:
    """The files of the item that look like this one."""
    return tuple(file for file in item.files if _alike(file, each.file))


def likeness(item: Item) -> str:
    """All by which a person could tell two messages apart, in few characters. Ids, places and versions do not count."""
    assert isinstance(item, Message)
    files = sorted((file.name, file.size, file.content_type, file.content_id, file.inline) for file in item.files)
    head = (item.internet_message_id, item.subject, item.sender, item.recipients, item.received, item.draft)
    kind = (item.message_class, item.sensitivity, item.marker, item.touched)
    return hashlib.sha256(repr((head, kind, files, item.body)).encode("utf-8", "surrogatepass")).hexdigest()


def unaccounted(item: Item, other: Item, redirect: Redirect) -> bool:
    """Whether the item has a file that neither the other item nor the redirect has."""
    known = [*other.files, *(each.file for each in redirect.attached)]
    return not all(any(_alike(file, each) for each in known) for file in item.files)


def originals(item: Item, redirect: Redirect) -> tuple[str, ...]:
    """The ids of the originals that are still in the item. Another file under an old id is not one of them."""
    # By their ids: hundreds are looked for among hundreds, once for each that goes.
    wanted: dict[str, list[File]] = {}
    for each in redirect.leaving:
        wanted.setdefault(each.file.id, []).append(each.file)
    return tuple(file.id for file in item.files if any(_untouched(file, each) for each in wanted.get(file.id, ())))


def untouched(item: Item, each: RedirectedFile) -> bool:
    """Whether the original of this file is still in the item."""
    return any(_untouched(file, each.file) for file in item.files)


def with_file(redirect: Redirect, old: RedirectedFile, new: RedirectedFile) -> Redirect:
    """The redirect, with one file in another's place."""
    if new == old:
        return redirect  # As most looks find it.
    return replace(redirect, files=tuple(new if each is old else each for each in redirect.files))


def _with_new(redirect: Redirect, old: RedirectedFile, new: RedirectedFile) -> Redirect:
    """The redirect, with one file in another's place. What is stored of the old one is not forgotten."""
    changed = with_file(redirect, old, new)
    if old.stored is None or new.path == old.path:
        return changed
    return replace(changed, files=(*changed.files, replace(old, gone=True)))


def with_links_until(redirect: Redirect, terms: LinkTerms, end: datetime) -> Redirect:
    """The redirect, with links on these terms that end then."""
    for each in redirect.files:
        if each.link and each.terms == terms:
            redirect = with_file(redirect, each, replace(each, link=replace(each.link, expires=end)))
    return redirect


def _now(each: RedirectedFile, found: File | None, redirect: Redirect, *, attempted: bool) -> RedirectedFile:
    if found is None:
        return each if attempted else replace(each, gone=True)
    if found.version == each.file.version and found.size == each.file.size:
        return each if found == each.file else replace(each, file=found)
    return replace(each, file=found, path=_another_path(each, redirect), stored=None, link=None)


def _another_path(each: RedirectedFile, redirect: Redirect) -> str:
    taken = [other.path.rpartition("/")[2] for other in redirect.files]
    folder, _, name = each.path.rpartition("/")
    return f"{folder}/{names.distinct([*taken, name])[-1]}"


def _untouched(file: File, planned: File) -> bool:
    return file.id == planned.id and _renumbered(file, planned)


def _renumbered(file: File, planned: File) -> bool:
    return _alike(file, planned) and file.version == planned.version


def _edited(file: File, planned: File) -> bool:
    """Where ids are positions, an id alone may be another file's by now; and what was edited was written later."""
    return (file.id, file.name) == (planned.id, planned.name) and file.version != planned.version


def _replaced(file: File, planned: File) -> bool:
    return _edited(file, planned) or _alike(file, planned)


def _alike(file: File, planned: File) -> bool:
    return (file.name, file.size, file.content_id) == (planned.name, planned.size, planned.content_id)
