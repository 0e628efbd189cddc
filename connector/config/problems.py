"""Every problem of a configuration as `file:line:column field: what is wrong, what is allowed`.

Values are never quoted: one of them may be a password at the wrong place.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from connector.config.yamlfile import ConfigError, Document, Steps, dotted

M = TypeVar("M", bound=BaseModel)


def checked(document: Document, model: type[M]) -> M:
    """The document as this model. Raises ConfigError with every problem, in the order of the file."""
    try:
        return model.model_validate(document.values)
    except ValidationError as error:
        raise ConfigError(*told(error, document, model)) from None


def told(error: ValidationError, document: Document, model: type[BaseModel]) -> list[str]:
    """One sentence for each thing that the model does not accept; a union's branches that say the same say it once."""
    schema = model.model_json_schema()
    errors = error.errors(include_url=False, include_input=False)
    problems = [_problem(each, document, schema) for each in errors if not _follows(each, errors)]
    return list(dict.fromkeys(problems))


def _follows(error: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """Whether a list is too short only because pydantic left out what is wrong in it."""
    inner = (each["loc"][: len(error["loc"])] for each in errors if each is not error)
    return error["type"] == "too_short" and error["loc"] in inner


def _problem(error: ErrorDetails, document: Document, schema: dict[str, Any]) -> str:
    loc = error["loc"]
    if error["type"].startswith("union_tag_"):
        loc = (*loc, error["ctx"]["discriminator"].strip("'"))
    steps = _steps(loc, document)
    sentence = _sentence(error, schema)
    match error["type"]:
        case "missing" | "union_tag_not_found":
            return f"{_place(steps, document)} {dotted((*steps, loc[-1]))}: {sentence}"
        case "extra_forbidden":
            return f"{document.names.get(steps, _place(steps, document))} {dotted(steps)}: {sentence}"
        case _:
            return f"{_place(steps, document)}{f' {dotted(steps)}:' if steps else ''} {sentence}"


def _steps(loc: Steps, document: Document) -> Steps:
    """The way through the file: pydantic also names union branches and validators, which nobody wrote there."""
    steps: Steps = ()
    for each in loc:
        if (*steps, each) in document.places:
            steps = (*steps, each)
    return steps


def _place(steps: Steps, document: Document) -> str:
    return document.places.get(steps, str(document.path))


# --- words --------------------------------------------------------------------------------------------------------

_WORDS: Mapping[str, str] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of: {expected}",
    "date_from_datetime_parsing": "must be a date, as in 2026-11-23",
    "date_type": "must be a date, as in 2026-11-23",
    "enum": "must be one of: {expected}",
    "missing": "is missing",
    "model_attributes_type": "must hold fields, as in `field: value`",
    "model_type": "must hold fields, as in `field: value`",
    "path_type": "must be a path",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "must be at most {max_length} characters long",
    "string_too_short": "must be at least {min_length} characters long",
    "string_type": "must be text",
    "string_unicode": "must be text that can be written in UTF-8",
    "too_short": "must have at least {min_length} entries",
    "tuple_type": "must be a list, as in [a, b]",
    "union_tag_invalid": "must be one of: {expected_tags}",
    "union_tag_not_found": "is missing",
    "value_error": "{error}",
}


def _sentence(error: ErrorDetails, schema: dict[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown(str(error["loc"][-1]), sorted(set(_fields(schema, schema, error["loc"][:-1]))))
    words = _WORDS.get(error["type"])
    # What is not listed above says in pydantic's words what is allowed; those do not quote the value.
    return words.format(**error.get("ctx", {})) if words else error["msg"]


def _unknown(name: str, allowed: list[str]) -> str:
    if meant := difflib.get_close_matches(name, allowed, n=1):
        return f"is not a field; did you mean {meant[0]}?"
    return f"is not a field; allowed: {', '.join(allowed)}"


def _fields(part: dict[str, Any], schema: dict[str, Any], loc: Steps) -> Iterator[str]:
    """The names of all fields that a model knows at this place, read from its JSON schema."""
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].removeprefix("#/$defs/")]
    if loc and (meant := part.get("discriminator", {}).get("mapping", {}).get(loc[0])):
        yield from _fields({"$ref": meant}, schema, loc[1:])
        return
    for branch in part.get("anyOf", []) + part.get("oneOf", []) + part.get("allOf", []):
        yield from _fields(branch, schema, loc)
    if not loc:
        yield from part.get("properties", {})
        return
    for inner in _inner(part, loc[0]):
        yield from _fields(inner, schema, loc[1:])


def _inner(part: dict[str, Any], step: str | int) -> Iterator[dict[str, Any]]:
    """Where one step leads from here; a step that names a union branch leads to where one already is."""
    if isinstance(step, int):
        yield part.get("items", {})
    elif step in part.get("properties", {}):
        yield part["properties"][step]
    elif isinstance(part.get("additionalProperties"), dict):
        yield part["additionalProperties"]
    elif "properties" in part:
        yield part
