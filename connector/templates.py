"""How templates are read, whatever they make: ours from their folder, and those that tenants bring along."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment


def templates(folder: str, *, autoescape: bool = True) -> Environment:
    """Ours, those in a folder of this package; a missing word is an error."""
    return Environment(autoescape=autoescape, **_said(folder))  # noqa: S701 - some make texts


def sandbox(folder: str, *, autoescape: bool = True) -> SandboxedEnvironment:
    """For those of tenants, which may build on ours, and reach nothing beyond what they are given."""
    return SandboxedEnvironment(autoescape=autoescape, **_said(folder))


def _said(folder: str) -> dict[str, Any]:
    return {
        "loader": PackageLoader("connector", folder),
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
    }
