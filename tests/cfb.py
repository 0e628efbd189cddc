"""Files of Office 97-2003 as small as they get: a writer of compound files ([MS-CFB], version 3)."""

import struct
from collections.abc import Mapping

_SECTOR = 512
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
#: What is smaller lies elsewhere: every stream is made longer than this, with zeros.
_SMALL = 4096

_Storage = dict[str, "bytes | _Storage"]


def compound(streams: Mapping[str, bytes], storages: tuple[str, ...] = ()) -> bytes:
    """A file with these streams, by their paths, and empty storages in its root."""
    sectors: list[bytes] = []
    chain: list[int] = []
    entries: list[bytes] = []
    _enter(_tree(streams, storages), "Root Entry", entries, sectors, chain)
    directory = len(chain)
    _add(b"".join(entries), sectors, chain)
    table = len(chain)
    chain.append(_FAT)
    fat = struct.pack(f"<{len(chain)}I", *chain).ljust(_SECTOR, b"\xff")
    assert len(fat) == _SECTOR, "too large for one sector of FAT"
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, directory, 0, _SMALL, _END, 0, _END, 0)
    header += struct.pack("<I", table).ljust(109 * 4, b"\xff")
    return header + b"".join(sectors) + fat


def _tree(streams: "Mapping[str, bytes | _Storage]", storages: tuple[str, ...]) -> _Storage:
    root: _Storage = {}
    for path, content in streams.items():
        name, _, below = path.partition("/")
        if below:
            inner = root.setdefault(name, {})
            assert isinstance(inner, dict), "a stream has the name of a storage"
            inner[below] = content
        else:
            root[name] = content
    grown = {name: _tree(each, ()) if isinstance(each, dict) else each for name, each in root.items()}
    return {**grown, **{name: {} for name in storages}}


def _enter(
    what: bytes | _Storage,
    name: str,
    entries: list[bytes],
    sectors: list[bytes],
    chain: list[int],
    *,
    last: bool = True,
) -> None:
    """Its entry in the directory, and those below it: each is the right sibling of the one before.

    That is no balanced tree, but readers follow it.
    """
    if isinstance(what, bytes):
        padded = what.ljust(_SMALL, b"\0")
        entries.append(_entry(name, 2, len(chain), len(padded), right=_FREE if last else len(entries) + 1))
        _add(padded, sectors, chain)
        return
    at = len(entries)
    entries.append(b"")
    for number, (below, each) in enumerate(what.items(), 1):
        _enter(each, below, entries, sectors, chain, last=number == len(what))
    kind, start = (1, 0) if at else (5, _END)
    entries[at] = _entry(name, kind, start, 0, right=_FREE if last else len(entries), child=at + 1 if what else _FREE)


def _entry(name: str, kind: int, start: int, size: int, *, right: int, child: int = _FREE) -> bytes:
    encoded = name.encode("utf-16-le")
    words = struct.pack("<HBBIII", len(encoded) + 2, kind, 1, _FREE, right, child)
    return encoded.ljust(64, b"\0") + words + bytes(36) + struct.pack("<IQ", start, size)


def _add(content: bytes, sectors: list[bytes], chain: list[int]) -> None:
    content += bytes(-len(content) % _SECTOR)
    first, count = len(chain), len(content) // _SECTOR
    sectors.extend(content[at * _SECTOR : (at + 1) * _SECTOR] for at in range(count))
    chain.extend([*range(first + 1, first + count), _END])
