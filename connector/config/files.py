"""The files of tenants, and whom each is of: as far as that can be told of one that is broken, too."""

from collections.abc import Iterator
from pathlib import Path

from connector.config.yamlfile import ConfigError, read

#: Beside the policy NAME.yaml stand its tests.
TESTS = ".tests.yaml"


#: How a file is to end, and how people end it too.
_READ, _UNREAD = ".yaml", ".yml"


def files_in(folder: Path) -> list[Path]:
    """All that somebody wrote into `tenants/`; what editors and file servers put beside it begins with a dot."""
    found = (*folder.glob(f"*{_READ}"), *folder.glob(f"*{_UNREAD}"))
    return sorted(path for path in found if not path.name.startswith("."))


def tenant_files(folder: Path) -> list[Path]:
    """One for each tenant, in `tenants/`."""
    return [path for path in files_in(folder) if path.suffix == _READ and not path.name.endswith(TESTS)]


def without_effect(folder: Path) -> Iterator[tuple[str, ConfigError]]:
    """Files that nobody would read, by their names: a tenant would not be served, or a test never fail."""
    for path in files_in(folder):
        if path.suffix == _UNREAD:
            yield path.name, ConfigError(f"{path}: is not read; rename it to {path.with_suffix(_READ).name}")
        elif path.name.endswith(TESTS) and not (tested := folder / f"{path.name.removesuffix(TESTS)}{_READ}").exists():
            yield tested.stem, ConfigError(f"{path}: tests a policy that is not there: {tested}")


def tenant_names(folder: Path) -> tuple[set[str], list[str]]:
    """Whom the files beside connector.yaml name, whatever else is wrong with them; what is wrong where none is named.

    Imports no adapter: who stops all work waits for nothing.
    """
    names: set[str] = set()
    problems: list[str] = []
    for path in tenant_files(folder / "tenants"):
        try:
            name = read(path).values.get("tenant")
        except ConfigError as error:
            problems += error.problems
        else:
            if isinstance(name, str):
                names.add(name)
    return names, problems
