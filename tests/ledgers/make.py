"""Makes the ledger of a commit, with the code of that commit: `python tests/ledgers/make.py COMMIT`.

A worktree of the commit is made for it, and this file runs once more in there, over the world that its tests have.
What is written is `NNNN.json.gz`, by the number of the schema: the ledger as SQL text, and beside it the mailbox and
the store of which it tells, so that whoever reads it can work on. There is one redirect at every place where one may be
found: planned, stored, linked (and shown already), done, restored, held and dropped.
"""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
#: Only words that every version knows.
POLICY = {
    "defaults": {"settle": "1h"},
    "rules": [
        {"name": "odd", "when": {"name": "*.exe"}, "action": "hold"},
        {"name": "all", "action": "redirect"},
    ],
}


def main(commit: str) -> None:
    """Let the commit's own code work in a worktree of it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "then"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(root), commit], check=True, cwd=HERE)
        try:
            environment = os.environ | {"PYTHONPATH": str(root)}
            ran = subprocess.run(
                [sys.executable, __file__, "--within", folder],
                check=True,
                cwd=root,
                env=environment,
                stdout=subprocess.PIPE,
            )
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(root)], check=True, cwd=HERE)
    # What it logs goes to standard output too, before that.
    told = json.loads(ran.stdout.splitlines()[-1])
    # No time within: made again from the same, it is the same.
    packed = gzip.compress(json.dumps(told, sort_keys=True).encode(), mtime=0)
    (HERE / f"{told['schema']}.json.gz").write_bytes(packed)


def within(folder: Path) -> None:
    """In the worktree: let a world come to where work is left at every step; tell it in JSON."""
    from connector.flow.decisions import drop, recall  # noqa: PLC0415 - those of then
    from connector.policy import Policy  # noqa: PLC0415
    from connector.sources.memory import Attached  # noqa: PLC0415
    from tests.world import Killed, Saboteur, World  # noqa: PLC0415

    class Plug(Saboteur):
        """The power goes when a message has been rewritten, and the ledger does not know it yet."""

        rewritten = False

        def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def plugged(*args: Any, **kwargs: Any) -> Any:
                if name == "write" and self.rewritten:
                    raise Killed
                result = call(*args, **kwargs)
                self.rewritten = self.rewritten or name == "rewrite"
                return result

            return plugged

    world = World(folder / "ledger.db", Policy.model_validate(POLICY))

    def delivered(name: str) -> None:
        world.deliver(Attached(name, f"the bytes of {name}".encode()), subject=name)

    for name in ("restored.pdf", "dropped.exe"):
        delivered(name)
    world.run()
    with world.process() as (_, ledger):
        for each in ledger.redirects():
            (recall if each.files[0].file.name == "restored.pdf" else drop)(each, ledger, world.clock(), "operator")
    world.run()
    for name in ("done.pdf", "held.exe"):
        delivered(name)
    world.run()
    for name in ("linked.pdf", "stored.pdf"):
        delivered(name)
    world.run(ticks=1)
    world.now += timedelta(hours=2)
    delivered("planned.pdf")
    with suppress(Killed):
        world.run(Plug(), ticks=1)
    sys.stdout.write(json.dumps(_told(world)))


def _told(world: Any) -> dict[str, Any]:
    with closing(sqlite3.connect(world.ledger_file)) as connection:
        lines = list(connection.iterdump())
        ((schema,),) = connection.execute("SELECT version_num FROM ledger_version")
    return {
        "schema": schema,
        "now": world.now.isoformat(),
        "ledger": "\n".join(lines),
        "mailbox": {
            "serial": world.mailbox._serial,
            "entries": [
                {
                    "changed": entry.changed,
                    "message": {
                        name: getattr(entry.message, name)
                        for name in ("id", "version", "internet_message_id", "folder", "subject", "sender", "marker")
                    },
                    "received": entry.message.received.isoformat(),
                    "body": entry.message.body.content,
                    "files": [
                        [file.id, file.name, file.size, file.version, entry.contents[file.id].decode()]
                        for file in entry.message.files
                    ],
                }
                for entry in world.mailbox.entries()
            ],
        },
        "store": {path: data.decode() for path, data in world.store.files.items()},
        "shares": [[each.token, each.folder] for each in world.store.shares],
    }


if __name__ == "__main__":
    if sys.argv[1] == "--within":
        within(Path(sys.argv[2]))
    else:
        main(sys.argv[1])
