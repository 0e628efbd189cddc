"""What makes a link unguessable, and the same one however often it is asked for."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode


def token(key: bytes, publication: str, generation: int) -> str:
    """The secret part of a link that anyone may open: 256 bits, 43 characters for a URL.

    Nobody without the key can tell it from chance, so it is found in nothing but in the message. A later generation has
    another one.
    """
    return _text(_derived(key, b"link", publication, generation))


def password(key: bytes, publication: str, generation: int) -> str:
    """The password of a link that asks for one: 80 bits, in four groups that can be read out on the phone."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789x"
    number = int.from_bytes(_derived(key, b"password", publication, generation)[:10])
    drawn = "".join(letters[number >> 5 * place & 31] for place in range(16))
    return "-".join(drawn[at : at + 4] for at in range(0, 16, 4))


def sealed(said: str) -> str:
    """What is kept of a password: scrypt with a salt of its own (RFC 7914), 16 MB and some 50 ms for each guess."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${_scrypt(said, salt).hex()}"


def opens(seal: str, said: str) -> bool:
    """Whether this is the password that was sealed."""
    salt, _, kept = seal.partition("$")
    return hmac.compare_digest(_scrypt(said, bytes.fromhex(salt)).hex(), kept)


def _scrypt(said: str, salt: bytes) -> bytes:
    return hashlib.scrypt(said.encode(errors="surrogatepass"), salt=salt, n=1 << 14, r=8, p=1)


def hashed(secret: str) -> str:
    """What is kept of a token: it opens nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _derived(key: bytes, purpose: bytes, publication: str, generation: int) -> bytes:
    """By keys of their own: no marker and no manifest stands for a link, and no link for a password."""
    derived = hmac.new(key, b"connector " + purpose, hashlib.sha256).digest()
    return hmac.new(derived, f"{publication}.{generation}".encode(), hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
