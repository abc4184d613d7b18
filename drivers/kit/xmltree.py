"""XML from outside as a tree: no document types, no entities of its own, bounded in depth and number."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from drivers.kit.exchange import DecodeError

MOST_DEPTH: Final = 200
MOST_ELEMENTS: Final = 1_000_000
NOT_XML: Final = (expat.ExpatError, LookupError, ValueError)
"""What a parser says of bytes that are not XML; the last two of an encoding it does not know, or not well enough."""


def parser() -> expat.XMLParserType:
    """An expat parser that refuses document types, and with them entities. Errors: `NOT_XML`, DecodeError."""
    made = expat.ParserCreate()
    made.buffer_text = True

    def refuse(*_declared: object) -> None:
        raise DecodeError("a document type is declared: such XML is not read")

    made.StartDoctypeDeclHandler = refuse
    return made


def parse(data: bytes) -> Element:
    """The root element; names as written, namespaces not resolved. Errors: DecodeError."""
    tree, made, depth, count = TreeBuilder(), parser(), 0, 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > MOST_DEPTH or count > MOST_ELEMENTS:
            raise DecodeError(f"more than {MOST_DEPTH} elements deep, or more than {MOST_ELEMENTS} in all")
        tree.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        tree.end(tag)

    made.StartElementHandler, made.EndElementHandler, made.CharacterDataHandler = start, end, tree.data
    try:
        made.Parse(data, True)
    except NOT_XML as error:
        raise DecodeError(f"not XML: {error}") from None
    return tree.close()
