"""quickXorHash, the only hash that SharePoint and OneDrive for Business tell of a file.

https://learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash: each byte is added without carry into a ring
of 160 bits, 11 bits further than the one before; at last the length of the file into the ring's last 64 bits. It proves
a transfer, not that nobody meant harm: that is what our own sha256 is for.
"""

import base64

#: After so many bytes the same place in the ring comes again, so blocks of this length can be added up whole.
_PERIOD = 160
_RING = 160
_STEP = 11
_LENGTH_AT = 96
#: Added up at once, as one number; at the end by halves upon halves. Python does both at the speed of memory.
_BLOCK = _PERIOD * 128


class QuickXor:
    """The hash of what it is fed with."""

    def __init__(self) -> None:
        self._length = 0
        self._sum = 0
        self._rest = b""

    def update(self, data: bytes) -> None:
        """Feed the next bytes."""
        self._length += len(data)
        data = self._rest + data
        whole = len(data) - len(data) % _BLOCK
        for start in range(0, whole, _BLOCK):
            self._sum ^= int.from_bytes(data[start : start + _BLOCK], "little")
        self._rest = data[whole:]

    def base64(self) -> str:
        """The hash, as Graph writes it."""
        summed = _folded(self._sum ^ int.from_bytes(self._rest, "little"))
        ring = 0
        for position in range(_PERIOD):
            byte = summed >> (8 * position) & 0xFF
            shift = position * _STEP % _RING
            ring ^= byte << shift
        ring = (ring & (1 << _RING) - 1) ^ ring >> _RING
        ring ^= self._length << _LENGTH_AT
        return base64.b64encode((ring & (1 << _RING) - 1).to_bytes(_RING // 8, "little")).decode()


def _folded(number: int) -> int:
    """The sum, without carry, of all periods in a block, whose number is a power of two."""
    bits = 8 * _BLOCK
    while bits > 8 * _PERIOD:
        bits //= 2
        number = (number >> bits) ^ (number & (1 << bits) - 1)
    return number
