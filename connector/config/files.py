"""The files of tenants, and whom each is of: as far as that can be told of one that is broken, too."""

from pathlib import Path

from connector.config.yamlfile import ConfigError, read

#: Beside the policy NAME.yaml stand its tests.
TESTS = ".tests.yaml"


def tenant_files(folder: Path) -> list[Path]:
    """One for each tenant, in `tenants/`."""
    return sorted(
        path for path in folder.glob("*.yaml") if not path.name.startswith(".") and not path.name.endswith(TESTS)
    )


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
