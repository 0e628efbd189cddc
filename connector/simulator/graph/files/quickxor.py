"""quickXorHash, as SharePoint and OneDrive for Business give it.

Microsoft: "QuickXorHash Algorithm": each byte is XORed into 160 bits at a place 11 bits after that of the byte before
it, around a circle; at the end the length, 64 bits in little endian, is XORed into the last 8 bytes.
"""

import base64
from collections.abc import Iterable

_BITS = 160
_STEP = 11
#: After so many bytes the places repeat themselves.
_PERIOD = 160


def quick_xor(chunks: Iterable[bytes]) -> str:
    """The hash of all bytes, in base64."""
    folded, length = 0, 0
    for chunk in chunks:
        folded ^= _fold(bytes(length % _PERIOD) + chunk)
        length += len(chunk)
    bits = 0
    for at, byte in enumerate(folded.to_bytes(_PERIOD, "little")):
        if byte:
            bits ^= _around(byte, at * _STEP % _BITS)
    bits ^= (length & (1 << 64) - 1) << (_BITS - 64)
    return base64.b64encode(bits.to_bytes(_BITS // 8, "little")).decode("ascii")


def _fold(data: bytes) -> int:
    """All blocks of one period, XORed into one: by halves, for big numbers are fast."""
    blocks = -(-len(data) // _PERIOD)
    number = int.from_bytes(data, "little")
    while blocks > 1:
        half = -(-blocks // 2)
        bits = half * _PERIOD * 8
        number = (number >> bits) ^ (number & (1 << bits) - 1)
        blocks = half
    return number


def _around(byte: int, place: int) -> int:
    """A byte at its place, around the end of the circle."""
    placed = byte << place
    return (placed | placed >> _BITS) & (1 << _BITS) - 1
