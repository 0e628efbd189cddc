"""Who may import whom. The arrows of the README's architecture section, held by a test."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "connector"

#: No I/O, no clock: what comes out depends on what goes in.
PURE = (
    *("model", "errors", "amounts", "policy", "guards", "filetype", "names", "marker", "pauses", "sight", "rewrite"),
    "templates",
)
#: The flow knows the two ports, never an adapter.
FLOW = ("flow", "checks/probe", "daemon/sample")
IO_LIBRARIES = {
    "apscheduler", "cheroot", "exchangelib", "httpx", "http", "lxml", "msal", "os", "pathlib", "requests", "shutil",
    "socket", "sqlalchemy", "sqlite3", "subprocess", "tempfile", "threading", "time", "urllib3", "webdav3",
}  # fmt: skip
ADAPTERS = ("connector.sources.", "connector.stores.")


def imports(path: Path) -> set[str]:
    """The full names of all modules that a file imports, wherever it does."""
    return imports_of(ast.parse(path.read_text(encoding="utf-8")))


def imports_of(tree: ast.Module) -> set[str]:
    """The same, of what was read of a file."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def modules(*rooms: str) -> Iterator[Path]:
    """All files of these rooms and modules; of the whole package where none is named."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if not rooms or {room(path), path.relative_to(PACKAGE).with_suffix("").as_posix()} & {*rooms}:
            yield path


def room(path: Path) -> str:
    """The part of the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def libraries(path: Path) -> set[str]:
    """The first words of everything that a file imports."""
    return {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", [*modules(*PURE)], ids=room)
def test_pure_rooms_import_no_io_and_no_clock(path: Path) -> None:
    """They import each other, and libraries that only compute."""
    assert not libraries(path) & IO_LIBRARIES
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("connector.")}
    assert ours <= set(PURE)
    assert ".now(" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [*modules(*FLOW)], ids=room)
def test_the_flow_knows_no_adapter(path: Path) -> None:
    """It speaks to the two ports."""
    named = {name for name in imports(path) if name.startswith(ADAPTERS)}
    ports = ("sources.Source", "stores.Links", "stores.Pages", "stores.Store")
    assert named <= {f"connector.{port}" for port in ports}
    assert not libraries(path) & {"threading", "apscheduler", "sqlalchemy", "time"}


def test_only_config_and_the_commands_know_adapters() -> None:
    """An adapter is named where configurations are joined, and nowhere else."""
    knowing = {
        room(path)
        for path in modules()
        for name in imports(path)
        if name.startswith(ADAPTERS)
        and name.count(".") > 1
        and not name.endswith((".Hints", ".Links", ".Pages", ".Source", ".Store"))
    }
    assert knowing <= {"config", "sources", "stores", "demo"}


def test_an_adapter_knows_no_other() -> None:
    """Sources know nothing of stores, and stores nothing of sources."""
    assert not any(name.startswith("connector.stores") for path in modules("sources") for name in imports(path))
    assert not any(name.startswith("connector.sources") for path in modules("stores") for name in imports(path))


def test_only_the_ledger_knows_sql() -> None:
    """All SQL of the daemon is in one room. The book of links is another process's database."""
    knowing = {path for path in modules() if libraries(path) & {"sqlalchemy", "alembic", "sqlite3"}}
    assert {room(path) for path in knowing} == {"ledger", "links", "sql"}
    assert [path.name for path in knowing if room(path) == "links"] == ["book.py"]


def test_only_the_daemon_knows_threads_and_time() -> None:
    """It and its parts, what watches it, and the log, where all threads speak.

    Simulator and demo have servers of their own; the pages of links are a process of their own.
    """
    timed = {room(path) for path in modules() if libraries(path) & {"threading", "apscheduler", "time", "concurrent"}}
    assert timed - {"simulator", "demo", "links"} <= {
        "daemon",
        "endpoint",
        "log",
        "watching",
    }


def test_what_comments_point_at_is_there() -> None:
    """A module that moved takes along what is said of it elsewhere."""
    named = {name for path in modules() for name in re.findall(r"`connector((?:\.\w+)+)`", path.read_text("utf-8"))}
    files = {name for name in named if name.endswith((".yaml", ".json", ".db"))}
    there = {"." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in modules()}
    there |= {name.removesuffix(".__init__") for name in there if name != ".__init__"}
    assert not {name for name in named - files if not {name, name.rpartition(".")[0]} & there}


def test_the_simulator_shares_no_code() -> None:
    """It is a judge: it must not agree with our client because both are the same."""
    ours = {name for path in modules("simulator") for name in imports(path) if name.startswith("connector.")}
    assert all(name.startswith("connector.simulator") for name in ours)
    users = {room(path) for path in modules() if any(n.startswith("connector.simulator") for n in imports(path))}
    assert users <= {"simulator", "demo", "cli"}


def test_the_pages_of_links_know_nothing_of_the_daemon() -> None:
    """They face the internet: no ledger, no mailbox, no store that can be written. What publishes is the daemon's."""
    pages = [path for path in modules("links") if path.name != "publishing.py"]
    known = {name for path in pages for name in imports(path) if name.startswith("connector.")}
    assert not any(name.startswith("connector.links.publishing") for name in known)
    ours = {name.split(".")[1] for name in known}
    assert not ours & {"ledger", "sources", "flow", "daemon", "marker"}
    assert "connector.config.loading" not in known


def test_the_verifier_shares_no_code() -> None:
    """It knows the specification of the audit trail alone, and runs wherever Python does."""
    assert libraries(PACKAGE / "audit" / "verify.py") <= sys.stdlib_module_names


def test_who_asks_the_ledger_alone_waits_for_no_adapter() -> None:
    """Exchange's library alone takes longer to load than `status` to answer."""
    loaded, wanted = (
        set(),
        {
            "connector.cli",
            "connector.cli.asking",
            "connector.cli.audit",
            "connector.cli.deciding",
            "connector.cli.ledger",
        },
    )
    while wanted:
        name = wanted.pop()
        loaded.add(name)
        base = PACKAGE.parent / name.replace(".", "/")
        path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if path.exists():
            wanted |= at_the_start(path) - loaded
    assert {"connector.ledger.chain", "sqlalchemy"} <= loaded
    assert not {name for name in loaded if name.startswith(("exchangelib", "httpx", "msal", *ADAPTERS))} - {
        f"connector.{port}" for port in ("sources.Source", "stores.Links", "stores.Pages", "stores.Store")
    }


def at_the_start(path: Path) -> set[str]:
    """What a file imports, and the packages that this is in, as soon as it is imported itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = imports_of(ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], []))
    return named | {name.rpartition(".")[0] for name in named if "." in name}
