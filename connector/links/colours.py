"""Colours that can be read (WCAG 2.2, 1.4.3): a house chooses one, and dark pages get a lighter one of the same hue."""

WHITE = "#ffffff"
#: The least contrast of letters with what is behind them.
READABLE = 4.5
#: Behind the words of dark pages, and of the panels on them.
DARK = "#1c2128"


def contrast(one: str, other: str) -> float:
    """From 1, the same, to 21, black on white."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def for_dark(colour: str) -> str:
    """The colour, with as much white in it as it takes to be read on a dark page."""
    mixed = (_mixed(colour, share / 20) for share in range(21))
    return next(each for each in mixed if contrast(each, DARK) >= READABLE + 1)


def _mixed(colour: str, white: float) -> str:
    return "#" + "".join(f"{round(part + (255 - part) * white):02x}" for part in _parts(colour))


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - of the standard


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))
