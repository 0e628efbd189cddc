"""Our fingerprint in a message, which nobody outside can forge.

A marker names a redirect and the generation of the ledger that wrote it, and carries a MAC over the redirect's id, the
tenant and the Message-ID. A sender who plants one in a message to dodge a policy has no key; one who copies a genuine
marker into another message has another Message-ID.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

_VERSION = "1"
#: No ledger was rebuilt more often; Python reads no number of thousands of digits.
_NUMBER = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Marker:
    """What a genuine marker says."""

    redirect_id: str
    generation: int


def sign(key: bytes, *, redirect_id: str, generation: int, tenant: str, internet_message_id: str) -> str:
    """The text of our named property for this message: `1.REDIRECT.GENERATION.MAC`."""
    mac = _mac(key, redirect_id, generation, tenant, internet_message_id)
    return f"{_VERSION}.{redirect_id}.{generation}.{mac}"


def valid(text: str, key: bytes, *, tenant: str, internet_message_id: str) -> Marker | None:
    """Read a marker that was found in a message; None where it is not ours, whoever wrote it."""
    match text.split("."):
        case [version, redirect_id, generation, mac] if version == _VERSION and _NUMBER.fullmatch(generation):
            marker = Marker(redirect_id, int(generation))
        case _:
            return None
    expected = _mac(key, marker.redirect_id, marker.generation, tenant, internet_message_id)
    return marker if hmac.compare_digest(mac.encode("utf-8", "surrogatepass"), expected.encode()) else None


def names(text: str) -> str:
    """The redirect that a marker names, proved or not; "" where it names none. Good for a search, never for trust."""
    parts = text.split(".")
    return parts[1] if len(parts) == 4 else ""  # noqa: PLR2004 - the parts that `sign` joins


def _mac(key: bytes, redirect_id: str, generation: int, tenant: str, internet_message_id: str) -> str:
    said = "\0".join((_VERSION, redirect_id, str(generation), tenant, internet_message_id))
    return hmac.new(key, said.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
