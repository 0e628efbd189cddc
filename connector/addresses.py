"""Addresses of servers, as an administrator writes them."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator
from requests.utils import requote_uri


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("give a whole address, such as https://dav.example.org/attachments/")
    if parts.username is not None or parts.password is not None:
        raise ValueError("user and password have fields of their own, and no place in the address")
    if parts.query or parts.fragment:
        raise ValueError("such an address has no ? and no #")
    return requote_uri(value)


Address = Annotated[str, AfterValidator(_address)]
