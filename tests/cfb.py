"""Files of Office 97-2003 as small as they get: a writer of compound files ([MS-CFB], version 3)."""

import struct
from collections.abc import Mapping

_SECTOR = 512
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
#: What is smaller lies elsewhere: every stream is made longer than this, with zeros.
_SMALL = 4096


def compound(streams: Mapping[str, bytes], storages: tuple[str, ...] = ()) -> bytes:
    """A file with these streams and empty storages in its root."""
    sectors: list[bytes] = []
    chain: list[int] = []
    entries = []
    for name, content in streams.items():
        padded = content.ljust(_SMALL, b"\0")
        entries.append(_entry(name, 2, len(chain), len(padded)))
        _add(padded, sectors, chain)
    entries += [_entry(name, 1, 0, 0) for name in storages]
    root = _entry("Root Entry", 5, _END, 0, child=1 if entries else _FREE)
    # Each is the right sibling of the one before: no tree, but readers follow it.
    linked = [
        each[:72] + struct.pack("<I", at + 2 if at + 1 < len(entries) else _FREE) + each[76:]
        for at, each in enumerate(entries)
    ]
    directory = len(chain)
    _add(b"".join((root, *linked)), sectors, chain)
    table = len(chain)
    chain.append(_FAT)
    fat = struct.pack(f"<{len(chain)}I", *chain).ljust(_SECTOR, b"\xff")
    assert len(fat) == _SECTOR, "too large for one sector of FAT"
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, directory, 0, _SMALL, _END, 0, _END, 0)
    header += struct.pack("<I", table).ljust(109 * 4, b"\xff")
    return header + b"".join(sectors) + fat


def _entry(name: str, kind: int, start: int, size: int, child: int = _FREE) -> bytes:
    encoded = name.encode("utf-16-le")
    words = struct.pack("<HBBIII", len(encoded) + 2, kind, 1, _FREE, _FREE, child)
    return encoded.ljust(64, b"\0") + words + bytes(36) + struct.pack("<IQ", start, size)


def _add(content: bytes, sectors: list[bytes], chain: list[int]) -> None:
    content += bytes(-len(content) % _SECTOR)
    first, count = len(chain), len(content) // _SECTOR
    sectors.extend(content[at * _SECTOR : (at + 1) * _SECTOR] for at in range(count))
    chain.extend([*range(first + 1, first + count), _END])
