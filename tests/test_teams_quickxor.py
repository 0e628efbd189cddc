"""quickXorHash against published vectors, and against the definition, bit by bit."""

import base64
import random

import pytest

from connector.sources.teams.quickxor import QuickXor

#: As they stand in the tests of other programs that speak to OneDrive: content and hash, both in base64.
VECTORS = {
    "": "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "Sg==": "SgAAAAAAAAAAAAAAAQAAAAAAAAA=",
    "tbQ=": "taAFAAAAAAAAAAAAAgAAAAAAAAA=",
    "0pZP": "0rDEEwAAAAAAAAAAAwAAAAAAAAA=",
    "jRRDVA==": "jaDAEKgAAAAAAAAABAAAAAAAAAA=",
    "/aNzzCFPS/A=": "/RjFHJgRgicsAR4ACAAAAAAAAAA=",
}


def of(data: bytes, piece: int) -> str:
    """Fed in pieces."""
    summed = QuickXor()
    for start in range(0, len(data), piece):
        summed.update(data[start : start + piece])
    return summed.base64()


def defined(data: bytes) -> str:
    """Each bit to its place in the ring."""
    ring = [0] * 160
    for position, byte in enumerate(data):
        for bit in range(8):
            ring[(11 * position + bit) % 160] ^= byte >> bit & 1
    number = sum(bit << place for place, bit in enumerate(ring)) ^ len(data) << 96
    return base64.b64encode(number.to_bytes(20, "little")).decode()


@pytest.mark.parametrize(("content", "told"), VECTORS.items())
def test_published_vectors(content: str, told: str) -> None:
    """Short ones."""
    assert of(base64.b64decode(content), 3) == told


@pytest.mark.parametrize("size", [11, 159, 160, 161, 160 * 128, 160 * 128 + 1, 100_003])
@pytest.mark.parametrize("piece", [7, 4096, 1_000_000])
def test_any_length_in_any_pieces(size: int, piece: int) -> None:
    """Around every border of a block and of the ring."""
    data = random.Random(size).randbytes(size)
    assert of(data, piece) == defined(data)
