"""A whole house: what the daemon costs while nothing happens, and how soon a message shows its links.

The short form, in `.ci/run`, has 60 mailboxes; what is said of 1,200 is reckoned from it. The long forms measure it:
`.venv/bin/pytest -n 0 -s -m "bench and by_hand" tests/bench/test_house.py` takes three hours; `-k ten_minutes`,
`-k linear`, `-k comes_into` or `-k hour` are one of them each.
"""

import time
from collections.abc import Iterator
from statistics import quantiles

import pytest

from tests.bench.conftest import figure
from tests.bench.house import Daemon, House, daemon, house
from tests.bench.world import used

pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]
by_hand = pytest.mark.by_hand

SMALL, LARGE, LARGEST, FOLDERS = 60, 1200, 5000, 40
#: Seconds: how often a mailbox is looked at where its server tells what happens.
SAFETY = 900
#: The part of one processor that idle mailboxes may take.
IDLE = 0.05
#: Seconds until half of all messages, and 95 of 100, show their notice; messages a second.
HALF, MOST, PACE = 2.0, 5.0, 2
#: How many messages a second, and how much of a processor for each, against the same steps made bare.
DRAINS, DEARER = 0.6, 5.0
#: MB, at any time.
MEMORY = 250


@pytest.fixture(scope="module")
def small() -> Iterator[House]:
    """The short form."""
    with house(SMALL, FOLDERS) as built:
        yield built


@pytest.fixture(scope="module")
def large() -> Iterator[House]:
    """The long one."""
    with house(LARGE, FOLDERS) as built:
        yield built


# --- while nothing happens ------------------------------------------------------------------------------------------


def idle(running: Daemon, seconds: float) -> tuple[float, float]:
    """While nothing happens: the part of a processor, and requests a minute."""
    running.house.order(reset=True)
    begun, before = time.monotonic(), running.processor()
    time.sleep(seconds)
    took, asked = time.monotonic() - begun, running.house.asked()
    assert set(asked) <= {"FindFolder", "GetStreamingEvents"}, asked
    return (running.processor() - before) / took, asked.total() * 60 / took


def untold(running: Daemon) -> float:
    """How long a message takes of which nobody was told."""
    running.house.order(stream={"mishap": "suppress"})
    (took,) = running.house.deliver(1, 0)
    running.house.order(reset=True)
    return took


def test_idle_mailboxes_cost_little(small: House) -> None:
    """One look costs so little that 1,200 in a quarter of an hour are nothing; and it finds what nobody told of."""
    safety = 6
    with daemon(small, SMALL, safety=safety) as running:
        share, asked = idle(running, 2 * safety)
        look = share * safety / SMALL
        reckoned = look * LARGE / SAFETY
        found = untold(running)
    figure("idle look", f"{look * 1e3:.1f} ms", f"{asked / 6 / SMALL:.2f} requests; {LARGE} mailboxes: {reckoned:.1%}")
    figure("a lost notification", f"{found:.1f} s", f"until the links are shown; looked at every {safety} s")
    assert reckoned <= IDLE
    assert found <= safety + MOST


@by_hand
def test_idle_for_ten_minutes(large: House) -> None:
    """1,200 mailboxes whose server tells what happens; and the same looked at each minute, as where none does."""
    for what, safety in (("polling each minute", 60), ("streaming", SAFETY)):
        with daemon(large, LARGE, safety=safety) as running:
            share, asked = idle(running, 600)
            figure(f"idle: {what}", f"{share:.2%}", f"of a processor, {asked:.0f} requests a minute; {LARGE} mailboxes")
            if safety == SAFETY:
                assert share <= IDLE
                assert untold(running) <= SAFETY + MOST


@by_hand
def test_idle_is_linear() -> None:
    """Of 5,000 mailboxes each costs as much as of 1,200."""
    shares = []
    with house(LARGEST, FOLDERS) as at:
        for mailboxes in (LARGE, LARGEST):
            with daemon(at, mailboxes, safety=SAFETY) as running:
                share, asked = idle(running, 600)
            figure(f"idle: {mailboxes} mailboxes", f"{share:.2%}", f"of a processor, {asked:.0f} requests a minute")
            shares.append(share / mailboxes)
    assert shares[1] <= 1.5 * shares[0]


# --- while mail comes in --------------------------------------------------------------------------------------------


def latency(running: Daemon, messages: int) -> None:
    """Two messages a second over all mailboxes, each clocked by the simulated Exchange."""
    before = running.processor()
    took = quantiles(running.house.deliver(messages, 1 / PACE), n=20)
    spent = (running.processor() - before) / messages
    half, most = took[9], took[18]
    figure("latency", f"{half:.2f} s, {most:.2f} s", f"of half, of 95 in 100; {spent * 1e3:.0f} ms of a processor each")
    assert half < HALF
    assert most < MOST


def burst(running: Daemon, messages: int, bare: int) -> tuple[float, float]:
    """All at once, against the same calls made bare, one after the other: messages a second, and processor for each."""
    before = running.processor()
    took = max(running.house.deliver(messages, 0))
    spent = (running.processor() - before) / messages
    running.house.fill("bare@example.org", bare)
    floor = used("floor", "small", "bare@example.org", at=running.house.bare())
    faster = messages / took / (floor["messages"] / floor["took"])
    dearer = spent / (floor["seconds"] / floor["messages"])
    figure("burst", f"{messages / took:.1f} messages/s", f"{faster:.2f} x bare, for {dearer:.1f} x its processor")
    return faster, dearer


def test_mail_comes_in(small: House) -> None:
    """Slowly, then all at once; few mailboxes get more each."""
    with daemon(small, SMALL, safety=SAFETY) as running:
        latency(running, 20)
        # How many a second is for the long form: the more a machine has to do, the less it gives to each.
        _, dearer = burst(running, 200, 40)
        assert dearer <= DEARER
        figure("memory", f"{running.memory():.0f} MB", f"{SMALL} mailboxes")
        assert running.memory() < MEMORY


@by_hand
def test_mail_comes_into_a_large_house(large: House) -> None:
    """For ten minutes; then five thousand messages at once."""
    with daemon(large, LARGE, safety=SAFETY) as running:
        latency(running, 1200)
        faster, dearer = burst(running, 5000, 500)
        assert faster >= DRAINS
        assert dearer <= DEARER


@by_hand
def test_memory_for_an_hour(large: House) -> None:
    """Under load; how it grows is told."""
    with daemon(large, LARGE, safety=SAFETY) as running:
        sizes = []
        for _ in range(60):
            large.deliver(60 * PACE, 1 / PACE)
            sizes.append(running.memory())
        # From the second ten minutes to the last.
        slope = (sum(sizes[-10:]) - sum(sizes[10:20])) / 10 / 40 * 60
        figure("memory", f"{max(sizes):.0f} MB", f"the most in an hour; {slope:+.1f} MB an hour; {LARGE} mailboxes")
        assert max(sizes) < MEMORY
