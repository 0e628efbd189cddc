"""Which names SharePoint takes (Microsoft: "Restrictions and limitations in OneDrive and SharePoint")."""

_FORBIDDEN = frozenset('"*:<>?/\\|')
_RESERVED = frozenset(
    [".lock", "con", "prn", "aux", "nul", "desktop.ini"]
    + [f"{device}{number}" for device in ("com", "lpt") for number in range(10)]
)
#: The decoded path below the site, with its folders and the name.
LONGEST_PATH = 400
_LONGEST_NAME = 255


def is_allowed(name: str) -> bool:
    """Whether a file or a folder may have this name."""
    return (
        0 < len(name) <= _LONGEST_NAME
        and not _FORBIDDEN & set(name)
        and not any(ord(letter) < ord(" ") for letter in name)
        and name == name.strip(" ")
        and not name.endswith(".")
        and not name.startswith("~$")
        and "_vti_" not in name
        and name.casefold() not in _RESERVED
    )
