"""What SharePoint charges an app for a request, and what it does when an app has spent too much (facts, B7)."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from connector.simulator.deviations import Deviation
from connector.simulator.graph.call import Call
from connector.simulator.graph.message import Refused, Reply
from connector.simulator.graph.routes import Handler

#: Resource units: of a single get or a download; of a list or a write; of anything about permissions.
ONE, TWO, FIVE = 1, 2, 5
#: Whom early requests are noted under: the limit is the app's, not a mailbox's.
SHAREPOINT = "sharepoint"
_TOLD_FROM = 0.8
#: The part of the limit that traffic without a decorated User-Agent gets where it is throttled first.
_UNDECORATED = 0.5
_DECORATED = re.compile(r"(NON)?ISV\|[^|]+\|[^|/]+/\S+")


def charged(units: int | Callable[[Call], int], handler: Handler) -> Handler:
    """A handler whose requests cost so many units."""

    def answer(call: Call) -> Reply:
        usage = call.organisation.workspace.usage
        operation = f"{call.request.method} {call.request.path}"
        call.tenant.notice_early(SHAREPOINT, operation)
        spent, left = usage.spend(units if isinstance(units, int) else units(call))
        reset = math.ceil(left)
        told = (
            ("RateLimit-Limit", str(usage.limit)),
            ("RateLimit-Remaining", str(max(usage.limit - spent, 0))),
            ("RateLimit-Reset", str(reset)),
        )
        if spent > _limit(call):
            call.tenant.send_away(SHAREPOINT, left)
            headers = (("Retry-After", str(reset)), *told)
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "activityLimitReached", "The app is throttled.", *headers)
        reply = handler(call)
        if spent >= usage.limit * _TOLD_FROM:
            return replace(reply, headers=(*reply.headers, *told))
        return reply

    return answer


def _limit(call: Call) -> float:
    limit = call.organisation.workspace.usage.limit
    decorated = _DECORATED.match(call.request.header("User-Agent")) is not None
    first = call.deviates(Deviation.UNDECORATED_FIRST) and not decorated
    return limit * _UNDECORATED if first else limit
