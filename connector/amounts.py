"""Sizes and durations as people write them: `10 MB`, `24h`. Pure."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator

#: Exchange and Outlook count this way: a limit of 10 MB is 10,485,760 bytes.
_SIZES = {"GB": 1024**3, "MB": 1024**2, "kB": 1024, "B": 1}
#: A month is a twelfth of a year, and a year has 365 days.
_DURATIONS = {"y": 31_536_000, "months": 2_628_000, "d": 86400, "h": 3600, "min": 60, "s": 1}
_LONGEST = timedelta(days=36500).total_seconds()
_AMOUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([A-Za-z]{1,6})")


def _amount(value: object, units: Mapping[str, int]) -> int | None:
    """What `10 MB` or `24h` stands for in the smallest unit; None where it is nothing of the kind."""
    if value == 0 and not isinstance(value, bool):
        return 0
    if not isinstance(value, str) or not (said := _AMOUNT.fullmatch(value.strip())):
        return None
    unit = {each.casefold(): factor for each, factor in units.items()}.get(said[2].casefold())
    return None if unit is None else round(float(said[1]) * unit)


def said(value: int | timedelta) -> str:
    """A size or a duration in the words of a policy."""
    if isinstance(value, timedelta):
        return _said(value.total_seconds(), _DURATIONS)
    return _said(value, _SIZES)


def _said(amount: float, units: Mapping[str, int]) -> str:
    """The amount in its largest unit that leaves no fraction."""
    *larger, smallest = units
    unit = next((each for each in larger if amount and amount % units[each] == 0), smallest)
    return f"{amount / units[unit]:.0f} {unit}"


def about(number: int) -> str:
    """Bytes as people read them, and as the policy counts them."""
    unit = next((each for each, factor in _SIZES.items() if 1 < factor <= number), None)
    return f"{number / _SIZES[unit]:.1f} {unit}" if unit else f"{number} B"


def counted(number: int, what: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(value: object) -> int:
    """Bytes. Raises ValueError where it is no size."""
    amount = _amount(value, _SIZES)
    if amount is None:
        raise ValueError("a size is a number with its unit, such as 10 MB; units are B, kB, MB, GB")
    return amount


def duration(value: object) -> timedelta:
    """Raises ValueError where it is none."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else _amount(value, _DURATIONS)
    if seconds is None or seconds > _LONGEST:
        raise ValueError(
            "a duration is 0 or a number with its unit, such as 24h or 30d; units are s, min, h, d, months, y, the most"
            " is 100y"
        )
    return timedelta(seconds=seconds)


Size = Annotated[int, BeforeValidator(size, json_schema_input_type=str | Literal[0])]
Duration = Annotated[timedelta, BeforeValidator(duration, json_schema_input_type=str | Literal[0])]
