"""A driver as its manual page: made from the declaration, so that the two cannot drift."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from drivers.kit.declare import Driver, Quantity, Variant


def as_dict(driver: Driver) -> dict[str, Any]:
    """The declaration as plain data."""
    return {
        "name": driver.name,
        "maker": driver.maker,
        "summary": driver.summary,
        "links": list(driver.links),
        "link_settings": dict(driver.link_settings),
        "evidence": driver.evidence.name.lower(),
        "variants": [
            {
                "name": v.name,
                "models": list(v.models),
                "evidence": v.evidence.name.lower(),
                "note": v.note,
                "recordings": list(v.recordings),
                "options": dict(v.options),
                "device": dict(v.device),
            }
            for v in driver.variants
        ],
        "quantities": [_quantity(quantity) for quantity in _known(driver)],
        "options": _options(driver),
        "recordings": list(driver.recordings),
        "sources": list(driver.sources),
        "example": driver.example,
    }


def _known(driver: Driver) -> tuple[Quantity, ...]:
    return driver.quantities or driver.observed(driver.trial())


def _quantity(quantity: Quantity) -> dict[str, Any]:
    names = ("name", "unit", "code", "low", "high", "step", "field", "source")
    found = {name: getattr(quantity, name) for name in names}
    return {"kind": str(quantity.kind), "words": list(quantity.words), **found}


def _options(driver: Driver) -> list[dict[str, Any]]:
    said = descriptions(driver.options)
    return [
        {"name": name, "default": _default(field), "what": said.get(name, "")}
        for name, field in driver.options.model_fields.items()
    ]


def descriptions(options: type[BaseModel]) -> dict[str, str]:
    """Field -> what is said of it: its description, or the text below it in the source. Read when asked for, because a
    daemon that starts has no use for it."""
    found: dict[str, str] = {}
    for owner in reversed(options.__mro__):
        if owner is BaseModel or not issubclass(owner, BaseModel):
            continue
        try:
            (parsed,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        except (OSError, TypeError, ValueError, SyntaxError):
            continue  # made by a program: its fields are those of its bases
        body = parsed.body if isinstance(parsed, ast.ClassDef) else []
        for pair in pairwise(body):
            match pair:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
    return {**found, **{name: one.description for name, one in options.model_fields.items() if one.description}}


def _default(field: FieldInfo) -> Any:
    if field.is_required():
        return "(required)"
    return _plain(field.get_default(call_default_factory=True, validated_data={}))


def _plain(value: Any) -> Any:
    if isinstance(value, str) and not value.isprintable():
        return repr(value)  # control characters are read by their codes
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def page(driver: Driver) -> str:
    """The manual page as text."""
    lines = [f"{driver.name} - {driver.summary}", "", f"Maker:     {driver.maker}"]
    lines.append(f"Links:     {', '.join(driver.links)}")
    if driver.link_settings:
        lines.append("Settings:  " + ", ".join(f"{name} {value}" for name, value in driver.link_settings.items()))
    lines.append(f"Evidence:  {driver.evidence.name.lower()}")
    if driver.variants:
        lines += ["", "Variants"]
        for variant in driver.variants:
            models = f" ({', '.join(variant.models)})" if variant.models else ""
            lines.append(f"  {variant.name:<18} {variant.evidence.name.lower():<10} {variant.note}{models}".rstrip())
            if variant.device:
                lines.append("    sets " + ", ".join(f"{key} = {value!r}" for key, value in variant.device.items()))
    lines += [
        "",
        "Quantities" if driver.quantities or not driver.observes else "Quantities, as the example declares them",
    ]
    known = _known(driver)
    if not known:
        lines.append("  declared by the device's configuration, or found in what the instrument says")
    for quantity in known:
        span = (
            f"{quantity.low:g} to {quantity.high:g}" if quantity.low is not None and quantity.high is not None else ""
        )
        lines.append(f"  {quantity.name:<18} {quantity.unit or '':<12} {span:<18} {quantity.source}".rstrip())
    lines += ["", "Options"]
    for option in _options(driver):
        lines.append(f"  {option['name']:<18} {option['default']!s:<24.24} {option['what']}".rstrip())
    if driver.sources:
        lines += ["", "Sources", *(f"  {source}" for source in driver.sources)]
    if driver.example:
        lines += ["", "Example", *(f"  {line}" for line in driver.example.strip().splitlines())]
    return "\n".join(lines)


def instruments(drivers: Iterable[tuple[Driver, int]]) -> str:
    """The supported instruments as a Markdown table; each driver comes with how many cases it has."""
    rows = ["| instrument | driver | variant | links | evidence | note |", "|---|---|---|---|---|---|"]
    for driver, cases in drivers:
        links = ", ".join(driver.links)
        shown = f"{driver.maker}: {driver.summary}" if driver.maker != "any" else driver.summary
        rows.append(_row(shown, f"`{driver.name}`", "", links, _tier(driver), f"{cases} cases"))
        rows += [
            _row(", ".join(one.models) or one.name, f"`{driver.name}`", f"`{one.name}`", "", _tier(one), one.note)
            for one in driver.variants
        ]
    return "\n".join(rows) + "\n"


def _tier(one: Driver | Variant) -> str:
    """The evidence, and what it rests on."""
    name = one.evidence.name.lower()
    return f"{name}: {'; '.join(one.recordings)}" if one.recordings else name


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
