"""`connector demo`: the main job and its undo, over real protocols, on simulated servers and a WebDAV store.

A visitor who has nothing but Python sees a mailbox on premises, one in the cloud, a channel and a chat side by side,
before and after, and proof from outside that nothing was lost: not by a kill in the middle, and not by putting
everything back.
"""

import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from connector.demo import judge
from connector.demo.judge import Before, Outcome, Whereabouts
from connector.demo.mail import Letter, letters
from connector.demo.once import log, once, once_killed, proved, restored
from connector.demo.samples import write_samples
from connector.demo.screen import Screen
from connector.demo.world import World, world
from connector.names import plain

_TERMINATED = 128 + signal.SIGTERM


def demo(mail: Path | None, *, keep: bool) -> bool:
    """Play it with the .eml files in `mail`, or with our own; whether all went right.

    `keep` leaves everything up until SIGINT or SIGTERM. The temporary folder stays only where something went wrong.
    For the main thread of a process that does nothing else. Raises ConfigError where `mail` holds no mail.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    # All is on loopback, and no proxy's business.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    with ExitStack() as cleaning:
        folder = Path(tempfile.mkdtemp(prefix="connector-demo-"))
        cleaning.callback(shutil.rmtree, folder, ignore_errors=True)
        logging.basicConfig(filename=folder / "servers.log", level=logging.WARNING, force=True)
        fine = _play(mail, folder, Screen(), keep=keep)
        if not fine:
            # What went wrong is told in there.
            cleaning.pop_all()
    return fine


def _play(mail: Path | None, folder: Path, screen: Screen, *, keep: bool) -> bool:
    with ExitStack() as servers:
        with screen.busy("Preparing the mail"):
            stage = servers.enter_context(world(folder, _letters(mail, folder)))
            before = judge.look(stage)
        screen.introduce(stage, before)
        sure = _proved(stage, screen)
        killed = _killed(stage, before, screen)
        code = _completed(stage, screen)
        with screen.busy("Opening every link"):
            outcomes = judge.outcomes(before, stage)
        screen.table(outcomes)
        problems = tuple(_problems(sure, killed, code, outcomes))
        screen.verdict(stage, outcomes, problems)
        if not keep:
            # Whoever keeps it all wants to follow the links.
            problems += _undone(stage, before, screen)
        screen.end(problems, folder, log(stage))
        if keep:
            screen.addresses(stage)
            _wait()
    return not problems


def _letters(mail: Path | None, folder: Path) -> Sequence[Letter]:
    if mail is None:
        mail = folder / "mail"
        write_samples(mail)
    return letters(mail)


def _proved(stage: World, screen: Screen) -> int:
    with screen.busy("Trying out what has to be sure first") as tell:
        code = proved(stage, tell)
    screen.proved(code)
    return code


def _killed(stage: World, before: Before, screen: Screen) -> Whereabouts | None:
    """Let the first run die in the middle, and look where the originals are; None where it ended before that."""
    with screen.busy("Working") as tell:
        died = once_killed(stage, (before.redirects + 1) // 2, tell)
        found = judge.whereabouts(before, stage) if died else None
    screen.killed(found)
    return found


def _completed(stage: World, screen: Screen) -> int:
    with screen.busy("Working") as tell:
        code = once(stage, tell)
    screen.completed(code)
    return code


def _undone(stage: World, before: Before, screen: Screen) -> tuple[str, ...]:
    with screen.busy("Putting everything back") as tell:
        code = restored(stage, tell)
        undone = judge.undone(before, stage)
    problems = tuple(problem for each in undone for problem in each.problems)
    if code:
        problems += (f"`connector restore --everything` and `once` ended with exit code {code}",)
    screen.undone(stage, undone, problems)
    return problems


def _problems(sure: int, killed: Whereabouts | None, code: int, outcomes: Sequence[Outcome]) -> Iterator[str]:
    if sure:
        yield f"`connector certify` or `connector check` ended with exit code {sure}"
    if killed and killed.lost:
        yield f"{killed.lost} originals were nowhere after the kill"
    if code:
        yield f"`connector once` ended with exit code {code}"
    for outcome in outcomes:
        yield from (f"{plain(outcome.subject)}: {problem}" for problem in outcome.problems)


def _wait() -> None:
    """Until SIGINT or SIGTERM, which is how this is meant to end."""
    with suppress(KeyboardInterrupt, SystemExit):
        threading.Event().wait()
