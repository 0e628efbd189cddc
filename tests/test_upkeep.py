"""What operators do to links: one tenant out of reach keeps no other's from what was wanted."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from connector.errors import Unavailable
from connector.flow.decisions import Wanted
from connector.model import State
from connector.policy import Policy
from connector.sources.memory import Attached
from connector.upkeep import Upkeep
from tests.world import TENANT, World


@dataclass
class Reached:
    """A tenant: its store, its book and its links, as far as they are asked."""

    name: str
    down: bool
    asked: list[str] = field(default_factory=list)

    def revoke(self, folder: str) -> None:
        """Counted, and refused where it is down."""
        self.asked.append(folder)
        if self.down:
            raise Unavailable(f"the store of {self.name} is down")

    def links(self) -> "Reached":
        """Itself."""
        return self

    store = links

    def book(self) -> None:
        """The links are the store's own."""


@pytest.mark.parametrize("end", [Upkeep.revoke, Upkeep.relink])
def test_a_store_that_is_down_keeps_no_other_links_open(end: Callable[[Upkeep, Wanted], int], tmp_path: Path) -> None:
    """It is asked once, and named; the same call ends the rest when it is back."""
    rules: Any = {"rules": [{"name": "all", "action": "redirect", "settle": 0}]}
    world = World(tmp_path / "ledger.db", Policy.model_validate(rules))
    world.deliver(Attached("a.pdf", b"%PDF-1.7 a"))
    world.deliver(Attached("b.pdf", b"%PDF-1.7 b"))
    world.run()
    down, up = Reached(TENANT, down=True), Reached("beta", down=False)
    with world.ledger() as ledger:
        ledger.watch("beta/ben", tenant="beta", address="ben@example.org", now=world.now)
        done = ledger.redirects(state=State.DONE)
        other = replace(done[0], id="f" * len(done[0].id), source="beta/ben", revision=0)
        assert ledger.rebuild(other, "redirect.rebuilt", world.now)
        upkeep = Upkeep(cast("Any", (down, up)), ledger, world.now, "ada")
        assert end(upkeep, Wanted()) == 1
        assert (len(down.asked), up.asked) == (1, [other.folder])
        assert {name: str(error) for name, error in upkeep.missing.items()} == {TENANT: "the store of acme is down"}
