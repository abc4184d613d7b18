"""What is wrong with a configuration, in our words: the file, the line, the key, and what to write instead."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.toml_lines import line_of, lines

Location = tuple[str | int, ...]


class ConfigError(Exception):
    """The configuration cannot be used. One line a problem: `FILE:LINE: key.path: what is wrong. Remedy.`"""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Problems:
    """Collects what is wrong, with the line it is on."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._lines = lines(text)
        self.found: list[tuple[int, str]] = []

    def add(self, location: Location, message: str) -> None:
        line = line_of(self._lines, location)
        key = _dotted(location)
        self.found.append((line, f"{self._file}:{line}: {key + ': ' if key else ''}{message}"))

    def stop(self) -> None:
        if self.found:
            raise ConfigError([text for _, text in sorted(self.found)])


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if part.replace("-", "").replace("_", "").isalnum() else f'"{part}"')
    return text


def toml_error(file: str, text: str, error: tomllib.TOMLDecodeError) -> str:
    what = str(error)
    line = text.count("\n") + 1
    if " (at line " in what:
        what, _, position = what.partition(" (at line ")
        line = int(position.split(",")[0])
    return f"{file}:{line}: not TOML: {what.lower()}. See https://toml.io for the syntax."


# ---- pydantic's errors in our words


_REMEDIES: Final = {
    "missing": "is required. Add it.",
    "bool_type": "is not true or false. Write true or false, without quotes.",
    "int_type": "is not a whole number. Write it without quotes.",
    "int_parsing": "is not a whole number. Write it without quotes.",
    "float_type": "is not a number. Write it without quotes.",
    "string_type": "is not a text. Write it in quotes.",
    "list_type": "is not a list. Write [ ... ].",
    "tuple_type": "is not a list. Write [ ... ].",
    "dict_type": "is not a table. Write { key = value }.",
    "model_type": "is not a table. Write { key = value }.",
}


def explain(error: ValidationError, here: Location, model: type[BaseModel], problems: Problems) -> None:
    for detail in error.errors(include_url=False):
        location = (*here, *_own_keys(detail["loc"]))
        problems.add(location, _message(detail, model))


def _own_keys(location: Iterable[str | int]) -> Location:
    """pydantic adds the tag of a union and the names of models to its locations; no key of the file is called so."""
    tags = {"serial", "tcp", "tcp-listen", "mqtt", "file", "opcua", "sila", "influxdb", "ndjson"}
    keys = list(location)
    return tuple(
        key
        for number, key in enumerate(keys)
        if not (isinstance(key, str) and (("[" in key) or (key in tags and number > 0)))
    )


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key. {suggest(str(detail['loc'][-1]), _known_keys(model, detail['loc'][:-1]))}"
    if kind == "literal_error":
        return f"{detail['input']!r} is not one of the choices. Write {context['expected']}."
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return f"type is missing or unknown. Write type = {context.get('expected_tags') or 'one of the known types'}."
    if kind == "string_pattern_mismatch":
        return f"{detail['input']!r} does not fit. Use lower-case letters, digits, '-', '.' and '_'."
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    if kind in _REMEDIES:
        return _REMEDIES[kind]
    return f"{detail['msg'][0].lower()}{detail['msg'][1:]}, not {detail['input']!r}."


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys that could stand at `location` inside `model`, by walking its JSON schema."""
    schema = model.model_json_schema()
    at = [schema]
    for part in _own_keys(location):
        at = [deeper for node in at for deeper in _children(_resolved(node, schema), part, schema)]
    keys: list[str] = []
    for node in at:
        for option in _options(_resolved(node, schema), schema):
            keys += option.get("properties", {})
    return keys


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return node


def _options(node: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    choices = node.get("oneOf") or node.get("anyOf")
    return [_resolved(choice, schema) for choice in choices] if choices else [node]


def _children(node: dict[str, Any], part: str | int, schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for option in _options(node, schema):
        if isinstance(part, int):
            found += [option["items"]] if isinstance(option.get("items"), dict) else []
        elif part in option.get("properties", {}):
            found.append(option["properties"][part])
        elif isinstance(option.get("additionalProperties"), dict):
            found.append(option["additionalProperties"])
    return found


def suggest(wrong: str, known: Iterable[str]) -> str:
    known = sorted(set(known))
    near = difflib.get_close_matches(wrong, known, 1, 0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known are: {', '.join(known)}." if known else "None is configured."
