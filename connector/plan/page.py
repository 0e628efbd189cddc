"""A plan as one page of HTML: nothing of it comes from elsewhere, and no script runs in it. Pure.

Names of senders, files and rules are hostile: they are escaped, and lose what would turn a line around.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from connector.amounts import about
from connector.names import plain
from connector.plan.sums import By
from connector.plan.tables import MOST, Row, sentences
from connector.templates import templates

_TEMPLATES = templates("plan/templates")
_TEMPLATES.filters.update(size=about, plain=plain)

#: In this order: of each group, what people ask for first.
_TITLES = {
    By.RULE: "Rules",
    By.TYPE: "Types of files",
    By.DEPARTMENT: "Departments",
    By.DOMAIN: "Where it came from",
    By.MAILBOX: "Mailboxes",
    By.SENDER: "Senders",
}
_WIDTH, _HEIGHT = 720, 140
#: The least that can be seen.
_THIN = 1.5


class Bar(NamedTuple):
    """One column of a chart, in the units of its picture."""

    x: float
    y: float
    width: float
    height: float
    says: str


class Chart(NamedTuple):
    """Bytes day by day."""

    bars: tuple[Bar, ...]
    most: int
    first: date
    last: date


def page(plans: Sequence[Mapping[str, Any]]) -> str:
    """The page, for what `tables.told` tells of each tenant."""
    shown = [
        {
            "of": of,
            "sentences": tuple(sentences(of)),
            "tables": [(by, _TITLES[by], _with_shares(of[by][:MOST]), len(of[by]) - MOST) for by in _TITLES if of[by]],
            "total": _with_shares(of["total"]),
            "chart": _chart(of["days"]),
        }
        for of in plans
    ]
    return _TEMPLATES.get_template("plan.html.j2").render(plans=shown, width=_WIDTH, height=_HEIGHT)


def _with_shares(rows: Iterable[Row]) -> list[tuple[Row, float]]:
    """Each row, and how long its bar is: in percent of the longest."""
    rows = tuple(rows)
    most = max((row["bytes"] or 0 for row in rows), default=0) or 1
    return [(row, max(100 * (row["bytes"] or 0) / most, _THIN if row["bytes"] else 0)) for row in rows]


def _chart(days: Sequence[Row]) -> Chart | None:
    if not days:
        return None
    first, last = days[0]["day"], days[-1]["day"]
    step = _WIDTH / ((last - first).days + 1)
    most = max(each["bytes"] for each in days) or 1
    bars = []
    for each in days:
        height = max(_HEIGHT * each["bytes"] / most, _THIN)
        says = f"{each['day']:%Y-%m-%d}: {about(each['bytes'])}"
        bars.append(Bar((each["day"] - first).days * step, _HEIGHT - height, max(step * 0.8, 0.5), height, says))
    return Chart(tuple(bars), most, first, last)
