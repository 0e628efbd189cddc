"""Several requests in one (facts, A5): JSON batching."""

import base64
import json
from http import HTTPStatus
from typing import Any

from connector.simulator.deviations import Deviation
from connector.simulator.graph.call import Call
from connector.simulator.graph.message import Refused, Reply, Request, invalid
from connector.simulator.graph.routes import Route
from connector.simulator.graph.tenant import CONCURRENT

_MOST = 20
_WRITES = {"PATCH", "POST", "PUT"}


def batch(call: Call) -> Reply:
    """Microsoft: json-batching. One after the other here; who depends on what failed gets 424."""
    requests = call.request.json().get("requests")
    if not isinstance(requests, list) or not requests:
        invalid("Invalid batch payload format.")
    if len(requests) > _MOST:
        says = f"Number of batch request steps exceeds the maximum value of {_MOST}."
        raise Refused(HTTPStatus.BAD_REQUEST, "BadRequest", says)
    answers: dict[str, dict[str, Any]] = {}
    for each in requests:
        if not isinstance(each, dict) or not {"id", "method", "url"} <= each.keys() or each["id"] in answers:
            invalid("Each step of a batch needs an id of its own, a method and a url.")
        if each["method"].upper() in _WRITES and not ("body" in each and _has_type(each)):
            invalid(f"Write request id : {each['id']} does not contain Content-Type header or body.")
        answers[each["id"]] = _answered(call, each, answers)
    return Reply(json={"responses": list(answers.values())})


def _is_too_many(call: Call, inner: Request, answers: dict[str, dict[str, Any]]) -> bool:
    mail = inner.path.lower().startswith("/v1.0/users/")
    return mail and len(answers) >= CONCURRENT and call.deviates(Deviation.FOUR_OF_A_BATCH)


def _turned_away() -> Reply:
    refused = Refused(HTTPStatus.TOO_MANY_REQUESTS, "ErrorTooManyObjectsOpened", "Too many requests at once.")
    return Reply.of(refused, {})


def _has_type(step: dict[str, Any]) -> bool:
    return any(str(name).lower() == "content-type" for name in step.get("headers", {}))


def _answered(call: Call, step: dict[str, Any], answers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    needed = step.get("dependsOn", [])
    if unknown := set(needed) - answers.keys():
        invalid(f"A step depends on {min(unknown)}, which does not come before it.")
    if any(answers[each]["status"] >= HTTPStatus.BAD_REQUEST for each in needed):
        error = {"code": "FailedDependency", "message": "A request that this one depends on failed."}
        return {"id": step["id"], "status": int(HTTPStatus.FAILED_DEPENDENCY), "headers": {}, "body": {"error": error}}
    inner = _inner(call, step)
    reply = _turned_away() if _is_too_many(call, inner, answers) else call.send(inner)
    told: dict[str, Any] = {"id": step["id"], "status": int(reply.status), "headers": dict(reply.headers)}
    if reply.json is not None or reply.pieces is not None:
        told["headers"]["Content-Type"] = reply.content_type
        # JSON stands there as it is, everything else in base64.
        pieces = b"".join(reply.pieces or ())
        told["body"] = base64.b64encode(pieces).decode() if reply.json is None else reply.json
    return told


def _inner(call: Call, step: dict[str, Any]) -> Request:
    """A step as a request of its own, with the token of the batch."""
    body = step.get("body", b"")
    data = b"" if body == b"" else base64.b64decode(body) if isinstance(body, str) else json.dumps(body).encode()
    told = {str(name): str(value) for name, value in step.get("headers", {}).items()}
    headers = {"Authorization": call.request.header("Authorization"), **told}.items()
    return Request.to(step["method"], f"/v1.0/{step['url'].lstrip('/')}", headers, call.request.host, [data])


ROUTES = (Route("POST", "/$batch", batch),)
