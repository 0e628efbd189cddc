"""What every command begins with, done once: the server of processes (`tests.command`) imports this before it forks."""

import gc
import tempfile
from contextlib import closing
from pathlib import Path

import tests.compiled  # noqa: F401 - before the first ledger
from connector.config import yamlfile
from connector.ledger import Ledger
from connector.rewrite import Wording

with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "some.yaml").write_text("some: {fields: [1, 'two', 3.0]}")
    yamlfile.read(Path(folder) / "some.yaml")
    for _ in ("made", "opened"):
        with closing(Ledger(f"sqlite:///{folder}/ledger.db")) as ledger:
            ledger.generation  # noqa: B018 - what a first question makes
Wording(product="the store", organisation="Example")
# What is here already is nothing that a fork has to look through.
gc.collect()
gc.freeze()
