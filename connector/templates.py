"""How templates are read, whatever they make: ours from their folder, and those that tenants bring along."""

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment


def templates(folder: str, *, autoescape: bool = True) -> SandboxedEnvironment:
    """Those in a folder of this package. None reaches beyond what it is given; a missing word is an error."""
    return SandboxedEnvironment(
        loader=PackageLoader("connector", folder),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
