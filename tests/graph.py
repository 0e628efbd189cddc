"""The simulated Graph in tests: an app in plain HTTP, and a judge that knows Microsoft's description and metadata."""

import functools
import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from connector.simulator import Exchange
from connector.simulator.graph.message import Reply, Request
from tests.csdl import Metadata, read

_JSON = "application/json"
#: In Microsoft's metadata, but left out of the cut of its description that is at hand.
_NOT_IN_THE_CUT = re.compile(
    r"POST /users/[^/]+/mailFolders/[^/]+/permanentDelete"
    r"|GET /groups/[^/]+/(members|transitiveMembers)(/microsoft\.graph\.\w+)?"
    r"|GET /groups/[^/]+/owners|POST /drives/[^/]+/items/[^/]+/restore"
    r"|GET /drives/[^/]+/(root/children|root:/.*|items/[^/]+:/[^:]*:?|items/[^/]+/retentionLabel)"
    r"|POST /users/[^/]+/mailFolders/[^/]+/(childFolders|move)|(DELETE|PATCH) /users/[^/]+/mailFolders/[^/]+",
    re.IGNORECASE,
)

#: What a PUT of content answers: the metadata knows only the stream (Microsoft: driveitem-put-content).
_DRIVE_ITEM = {"$ref": "#/components/schemas/microsoft.graph.driveItem"}


#: Parameters of actions, as pages have them and as the metadata does.
_WRITTEN_OTHERWISE = {"destinationId": "DestinationId"}


_NO_VALUE = "reply has no value"
#: What is asked of one may be what its kinds alone have, without naming them (Microsoft: group-list-transitivemembers).
_ANY_OBJECT = "microsoft.graph.directoryObject"


class GraphJudge:
    """Holds every request and every reply against Microsoft's description. A bad request has to be refused."""

    def __init__(self, description: dict[str, Any] | None, metadata: Metadata | None = None) -> None:
        self.complaints: list[str] = []
        self.judged = 0
        self._description = description or {}
        self._metadata = metadata
        self._known: dict[int, tuple[dict[str, Any], tuple[dict[str, Any], set[str], bool]]] = {}
        self._lock = threading.Lock()

    @property
    def has_description(self) -> bool:
        """Whether Microsoft's description is at hand."""
        return bool(self._description)

    def witness(self, request: Request, reply: Reply) -> None:
        """Judge one request with its reply."""
        with self._lock:
            self.judged += 1
            name = f"{request.method} {request.path}"
            if reply.status == 500:
                self.complaints.append(f"a bug of the simulator: {name}")
            below = request.path.removeprefix("/v1.0").removesuffix("()")
            below = re.sub("^/me(?=/|$)", "/users/me", below)
            if self._metadata and request.path.startswith("/v1.0/") and not below.startswith("/$batch"):
                self.complaints += [f"{name}: {each}" for each in self._judged_by_types(below, request, reply)]
            if (
                self._description
                and request.path.startswith("/v1.0/")
                and not _NOT_IN_THE_CUT.fullmatch(f"{request.method} {below}")
            ):
                self.complaints += [f"{name}: {each}" for each in self._judged(below, request, reply)]

    def _judged_by_types(self, path: str, request: Request, reply: Reply) -> Iterator[str]:
        """What Microsoft's metadata says of the path, and of what came back."""
        assert self._metadata
        kind = self._metadata.leads_to(path)
        if reply.status >= 400:
            return
        if kind is None:
            yield "leads nowhere by Microsoft's metadata"
            return
        selected = filter(None, request.query.get("$select", "").split(","))
        one = kind.removeprefix("Collection(").removesuffix(")")
        if one != _ANY_OBJECT:
            yield from (f"a {one} has no {each}" for each in self._metadata.unknown(one, selected))
        if reply.json is not None:
            told = json.loads(json.dumps(reply.json))
            if kind.startswith("Collection(") and reply.status != 201:
                yield from self._metadata.complaints(kind, told["value"], "value") if "value" in told else [_NO_VALUE]
            else:  # What was made in a collection; and what a PUT of a stream answers (driveitem-put-content).
                made = kind.removeprefix("Collection(").removesuffix(")") or "microsoft.graph.driveItem"
                yield from self._metadata.complaints(made, told, "reply")

    def _judged(self, path: str, request: Request, reply: Reply) -> Iterator[str]:
        operation = self._operation(path, request.method.lower())
        if reply.status == 304:
            return
        if operation is None:
            if reply.status not in (400, 401, 404, 405):
                yield "is not in Microsoft's description"
            return
        if reply.status < 400:
            yield from self._judged_request(operation, request)
        responses = operation["responses"]
        response = responses.get(str(reply.status)) or responses.get(f"{reply.status // 100}XX")
        if response is None:
            yield f"does not answer {reply.status}"
            return
        schema = _schema(self._resolved(response))
        if request.method == "PUT" and path.endswith("/content") and reply.status < 400:
            schema = _DRIVE_ITEM
        if schema and reply.status == 201 and "value" in schema.get("properties", ()):
            # Here the description says that what makes one thing answers a list; Microsoft's pages say: the thing.
            schema = schema["properties"]["value"]["items"]
        if reply.json is not None and schema is not None:
            yield from self._compared(schema, json.loads(json.dumps(reply.json)), "reply")

    def _judged_request(self, operation: dict[str, Any], request: Request) -> Iterator[str]:
        named = {self._resolved(each)["name"].removeprefix("$") for each in operation.get("parameters", ())}
        yield from (f"knows no {name}" for name in request.query if name.removeprefix("$") not in named)
        schema = _schema(operation.get("requestBody", {}))
        if schema is not None and request.header("Content-Type").startswith(_JSON):
            yield from self._compared(schema, request.json(), "request")

    def _operation(self, path: str, method: str) -> dict[str, Any] | None:
        for pattern, operations in self._description["paths"].items():
            expression = re.sub(r"\\\{[^}]*\\\}", "[^/]+?", re.escape(pattern))
            if method in operations and re.fullmatch(expression, path, re.IGNORECASE):
                return dict(operations[method])
        return None

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            for key in ("#root", *schema["$ref"].split("/")[1:]):
                schema = self._description if key == "#root" else schema[key]
        return schema

    def _compared(self, schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
        """What is wrong with a value; of alternatives, what is wrong with the one that fits best."""
        schema = self._resolved(schema)
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if alternatives:
            yield from min(([*self._compared(each, value, where)] for each in alternatives), key=len)
            return
        kinds = schema.get("type", _kind(value))
        if isinstance(kinds, str):
            kinds = [kinds]
        if _kind(value) not in kinds and not (_kind(value) == "integer" and "number" in kinds):
            yield f"{where} is {_kind(value)}, not {' or '.join(kinds)}"
        elif "const" in schema and value != schema["const"]:
            yield f"{where} is not {schema['const']}"
        elif "enum" in schema and value not in schema["enum"]:
            yield f"{where} is none of its values: {value}"
        elif isinstance(value, list):
            for at, each in enumerate(value):
                yield from self._compared(schema.get("items", {}), each, f"{where}[{at}]")
        elif isinstance(value, dict):
            yield from self._compared_object(schema, value, where)

    def _compared_object(self, schema: dict[str, Any], value: dict[str, Any], where: str) -> Iterator[str]:
        properties, required, is_open = self._properties(schema)
        yield from (f"{where} lacks {name}" for name in required if name not in value)
        if where == "request":
            # Microsoft's pages write destinationId, and its metadata DestinationId.
            value = {_WRITTEN_OTHERWISE.get(name, name): each for name, each in value.items()}
        for name, each in value.items():
            if name in properties:
                yield from self._compared(properties[name], each, f"{where}.{name}")
            elif not is_open and "@" not in name:
                yield f"{where} has an unknown {name}"

    def _properties(self, schema: dict[str, Any]) -> tuple[dict[str, Any], set[str], bool]:
        """All properties of an object with those that it inherits, which must be there, and whether others may be."""
        if id(schema) in self._known:
            return self._known[id(schema)][1]
        properties: dict[str, Any] = dict(schema.get("properties", {}))
        required = set(schema.get("required", ()))
        is_open = bool(schema.get("additionalProperties")) or not (properties or schema.get("allOf"))
        for parent in schema.get("allOf", ()):
            inherited, also_required, _ = self._properties(self._resolved(parent))
            properties = {**inherited, **properties}
            required |= also_required
        # The schema is kept with its answer, or its id might come to be another one's.
        self._known[id(schema)] = schema, (properties, required, is_open)
        return properties, required, is_open


def _schema(holder: dict[str, Any]) -> dict[str, Any] | None:
    for content_type, content in holder.get("content", {}).items():
        if content_type.startswith(_JSON):
            return dict(content["schema"])
    return None


def _kind(value: Any) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return kinds.get(type(value), "null")


@functools.cache
def description() -> dict[str, Any] | None:
    """Microsoft's description; None where it is not at hand."""
    from tests.exchange import test_data  # noqa: PLC0415 - which imports this module

    found = test_data("graph", "openapi.json")
    return dict(json.loads(found.read_text(encoding="utf-8"))) if found else None


@functools.cache
def metadata() -> Metadata | None:
    """Microsoft's metadata; None where it is not at hand."""
    from tests.exchange import test_data  # noqa: PLC0415 - which imports this module

    found = test_data("graph", "metadata.csdl.xml.gz")
    return read(found) if found else None


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the error."""
        return str(self.json["error"]["code"])


@dataclass
class App:
    """The app of the tenant, in plain HTTP: no client library stands in between."""

    exchange: Exchange
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def login(self, **more: str) -> Answer:
        """Ask for a token; `more` replaces what the form holds."""
        client = self.exchange.client
        host = self.exchange.graph.removesuffix("/v1.0")
        form = {
            "grant_type": "client_credentials",
            "client_id": client["id"],
            "client_secret": client["secret"],
            "scope": f"{host}/.default",
            **more,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", self.exchange.token, urlencode(form).encode(), headers)

    def ask(self, method: str, path: str, json_body: Any = None, **headers: str) -> Answer:
        """Ask Graph with a token; names of headers are written with `_` for `-`."""
        self.token = self.token or self.login().json["access_token"]
        told = {"Authorization": f"Bearer {self.token}", **self.headers}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = b""
        if isinstance(json_body, bytes):
            body = json_body
        elif json_body is not None:
            body = json.dumps(json_body).encode()
            told.setdefault("Content-Type", "application/json")
        url = path if path.startswith("http") else self.exchange.graph + quote(path, safe="/?&=$%:()',;@")
        return self.send(method, url, body, told)

    def get(self, path: str, **headers: str) -> Any:
        """The JSON of a GET that succeeds."""
        answer = self.ask("GET", path, **headers)
        assert answer.status == 200, answer.body
        return answer.json

    def send(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send one request as it is."""
        _, _, host, path = url.split("/", 3)
        with closing(http.client.HTTPConnection(host, timeout=30)) as connection:
            connection.request(method, f"/{path}", body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())


@pytest.fixture
def graph_judge() -> Iterator[GraphJudge]:
    """The judge of this test's Graph; all its complaints fail the test. A test may take back what it provoked."""
    judge = GraphJudge(description(), metadata())
    yield judge
    assert not judge.complaints


@pytest.fixture
def app(exchange: Exchange) -> App:
    """The app of the tenant of `exchange`."""
    return App(exchange)
