"""The simulated Exchange as a process of its own, full of mail: `python -m tests.bench.exchange MAIL`.

MAIL is `tests.bench.world.Mail` as JSON; the mailboxes are NAME0@example.org and so on. What is measured are clients,
and only their processor time: how fast this one answers does not count.
"""

import json
import random
import string
import sys

from connector.simulator import Exchange
from tests.bench.world import WARM, Mail

_HEAD = """\
From: Bert <bert@example.net>
To: Anna <{mailbox}>
Subject: An ordinary subject
Date: Mon, 05 Jan 2026 08:00:00 +0000
Message-ID: <{number}.{mailbox}>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=-="

--=-=
Content-Type: text/html; charset=utf-8

<html><body>{text}</body></html>
"""
_FILE = """\
--=-=
Content-Type: application/octet-stream
Content-Disposition: attachment; filename="report {number}.bin"

"""
_TEXT = "<p>Dear Anna, here is what we talked about.</p>" * 20


def main(mail: Mail) -> None:
    """Tell in one line of JSON where it listens, and serve until standard input ends."""
    with Exchange() as exchange:
        for name, (mailboxes, messages, size, folders) in mail.items():
            for mailbox in (f"{name}{number}@example.org" for number in range(mailboxes)):
                _fill(exchange, f"{WARM}{mailbox}", 2, 20_000, 0)
                _fill(exchange, mailbox, messages, size, folders)
        sys.stdout.write(json.dumps({"url": exchange.ews, "control": exchange.control, **exchange.impersonator}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


def _fill(exchange: Exchange, mailbox: str, messages: int, size: int, folders: int) -> None:
    exchange.add_mailbox(mailbox)
    for number in range(messages):
        folder = f"Folder {number % folders}" if folders else "Inbox"
        exchange.deliver(mailbox, eml(mailbox, number, size), folder)


def eml(mailbox: str, number: int, size: int) -> bytes:
    """An ordinary message; with a file of that many bytes, or with none."""
    head = _HEAD.format(mailbox=mailbox, number=number, text=_TEXT)
    file = _FILE.format(number=number) if size else ""
    # One line of text: parsing mail of many lines would take longer than everything else.
    content = random.Random(f"{mailbox} {number}").randbytes(size).translate(_LETTERS)
    return (head + file).encode().replace(b"\n", b"\r\n") + content + b"\r\n--=-=--\r\n"


_LETTERS = (string.ascii_letters * 5)[:256].encode()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
