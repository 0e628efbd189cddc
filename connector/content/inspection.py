"""What has to be known about the content of a file before it moves: is it encrypted, has it macros.

`connector.content.insides` looks, in a process of its own, and nothing that it says is believed further than this.
A file that cannot be looked into is told as what it might be: a rule that is to be safe is not outwitted by damage.

  encrypted   it, or something in it, asks for a password; or it is damaged, larger or deeper than is looked, of a kind
              of archive that nobody here knows, or took too much time or memory
  macros      there are macros in it, or its name lets Office run some; or there may be, since not all of it could be
              seen: it is encrypted, or a RAR or 7z archive, which tells of passwords, but not what is in its files
"""

import subprocess
import sys
from dataclasses import dataclass

from connector.content.confined import Limits, run
from connector.content.insides import ANSWER, Found, is_message, knows
from connector.filetype import TrueType, promised, true_type
from connector.spool import Spool

LIMITS = Limits(size=512 * 1024 * 1024)
COMMAND = (sys.executable, "-I", "-m", "connector.content.insides")

_HEAD = 64 * 1024
_ANSWERS = range(ANSWER, ANSWER + 2 * max(Found))


@dataclass(frozen=True, slots=True)
class Inspected:
    """What is in a file, as far as could be seen, and told as worse where it could not."""

    encrypted: bool
    macros: bool


def inspected(content: Spool, name: str) -> Inspected:
    """Look into a file. Raises Unavailable where it is this machine's fault that it cannot."""
    content.content.seek(0)
    head = content.content.read(_HEAD)
    kind = true_type(head, name)
    found = _found(content, head, kind, name)
    return Inspected(
        encrypted=bool(found & (Found.ENCRYPTED | Found.NOT_SEEN)),
        macros=kind is TrueType.MACRO or bool(found & (Found.MACROS | Found.NOT_SEEN | Found.NOT_OPENED)),
    )


def _found(content: Spool, head: bytes, kind: TrueType, name: str) -> Found:
    message = is_message(head, name)
    if not message and not knows(head):
        # Programs open a ZIP also where something stands before it.
        hides = kind is TrueType.ARCHIVE or (head and promised(name) is TrueType.ARCHIVE)
        return Found.NOT_SEEN if hides else Found(0)
    if content.size > LIMITS.size:
        return Found.NOT_SEEN
    code = run((*COMMAND, "message" if message else "file"), content, subprocess.DEVNULL, LIMITS, most=0)
    return Found(code - ANSWER) if code in _ANSWERS else Found.NOT_SEEN
