"""One YAML file: plain values, and where each of them stands.

YAML 1.2 by ruamel.yaml, so `no` stays a word. What a configuration does not need is refused: anchors and aliases (they
can blow a small file up), tags, duplicate fields, several documents in one file, files above one megabyte.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from connector.config.regular import regular

LARGEST = 1024 * 1024

#: The way to a value: names of fields, and numbers in lists.
Steps = tuple[str | int, ...]

_ANCHOR = "anchors and aliases (& and *) are not allowed; write the value out"
_TAG = "tags (a word after !) are not allowed"
_PLAIN = frozenset({"bool", "float", "int", "null", "str", "timestamp"})


class ConfigError(Exception):
    """The configuration cannot be used. Every problem that was found is told at once, one sentence each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and the place of each name and value in it, as `file:line:column`."""

    path: Path
    values: Mapping[str, Any]
    names: Mapping[Steps, str]
    places: Mapping[Steps, str]


def read(path: Path) -> Document:
    """Read a file that holds fields at its top. Raises ConfigError with all of its problems."""
    root = _composed(path)
    if not isinstance(root, MappingNode):
        raise ConfigError(f"{path}:1:1 must hold fields, as in `field: value`")
    reader = _Reader(path)
    values = reader.value(root, ())
    if reader.problems:
        raise ConfigError(*reader.problems)
    return Document(path, values, reader.names, reader.places)


def _composed(path: Path) -> Node | None:
    text = _text(path)
    try:
        return YAML().compose(text)  # type: ignore[no-any-return]
    except MarkedYAMLError as error:
        raise ConfigError(f"{_place(path, error.problem_mark)} {_broken(error, text)}") from None
    except YAMLError:
        raise ConfigError(f"{path}:1:1 holds a control character") from None
    except RecursionError:
        raise ConfigError(f"{path}:1:1 is nested too deeply") from None


def _text(path: Path) -> str:
    try:
        with regular(path).open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise ConfigError(f"{path}: is larger than {LARGEST:,} bytes, the most that is read")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}:1 is not UTF-8 text; save it as UTF-8") from None
    if not text.strip():
        raise ConfigError(f"{path}:1:1 is empty")
    return text


def _broken(error: MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    if line[: len(line) - len(line.lstrip())].count("\t"):
        return "a tab indents this line; only spaces may"
    return f"is not valid YAML: {error.problem}; values with {{ : # or quotes in them need quotes around them"


def _place(path: Path, mark: StringMark | None) -> str:
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else f"{path}:1:1"


@dataclass
class _Reader:
    """Turns nodes into values, and remembers where they stood and what is wrong with them."""

    path: Path
    names: dict[Steps, str] = field(default_factory=dict)
    places: dict[Steps, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    yaml: YAML = field(default_factory=lambda: YAML(typ="safe", pure=True))

    def value(self, node: Node, steps: Steps) -> Any:
        """The plain value of a node; None where it has a problem."""
        self.places[steps] = _place(self.path, node.start_mark)
        if node.anchor:
            # Not looked into: an alias inside would be followed again and again.
            return self._problem(node, steps, _ANCHOR)
        if isinstance(node, MappingNode):
            return self._fields(node, steps)
        if isinstance(node, SequenceNode):
            return [self.value(each, (*steps, number)) for number, each in enumerate(node.value)]
        return self._scalar(node, steps)

    def _fields(self, node: MappingNode, steps: Steps) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, value in node.value:
            if not isinstance(name, ScalarNode):
                self._problem(name, steps, "a field name must be a word")
            elif name.value in fields:
                self._problem(name, (*steps, name.value), "stands here a second time; keep one")
            else:
                self.names[*steps, name.value] = _place(self.path, name.start_mark)
                fields[name.value] = self.value(value, (*steps, name.value))
                if fields[name.value] is None:
                    # A value that was left out has no place of its own; YAML would point at the next line.
                    self.places[*steps, name.value] = self.names[*steps, name.value]
        return fields

    def _scalar(self, node: Node, steps: Steps) -> Any:
        if str(node.tag).removeprefix("tag:yaml.org,2002:") not in _PLAIN:
            return self._problem(node, steps, _TAG)
        if "\0" in node.value:
            # No path and no header takes it; the first that meets it would end in a ValueError.
            return self._problem(node, steps, "holds the control character \\0")
        try:
            return self.yaml.constructor.construct_object(node)
        except (ValueError, YAMLError):
            return self._problem(node, steps, "is not a number or date that exists")

    def _problem(self, node: Node, steps: Steps, sentence: str) -> None:
        where = f" {dotted(steps)}:" if steps else ""
        problem = f"{_place(self.path, node.start_mark)}{where} {sentence}"
        if problem not in self.problems:
            self.problems.append(problem)


def dotted(steps: Steps) -> str:
    """The way to a value as people write it: `rules.0.when`."""
    return ".".join(map(str, steps))
