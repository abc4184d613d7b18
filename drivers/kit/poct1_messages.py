"""POCT1-A messages: how they are read and written, both roles.

A message is an XML document; what an element says stands in its attribute `V` (CLSI POCT1-A2, device messaging layer).
Its root's name is the message type: HEL.R01 hello, DST.R01 status, OBS.R01 patients' results, OBS.R02 those of
controls, EVS.R01 events, REQ.R01 request, DTV directive, EOT.R01 end of topic, KPA.R01 keep-alive, ACK.R01, ESC.R01
escape, END.R01.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.xmltree import parse

ROOTS: Final = re.compile(rb"[A-Z]{3}\.R\d\d")
"""Elements that are only ever roots; makers' own roots have other names."""
MOST_IDENTITY: Final = 80  # characters of one name in a device's identity
_CONTROL_ID = re.compile(rb"<HDR\.control_id\b[^<>]{0,100}?\bV\s*=\s*[\"']([^\"'<>&]{1,64})[\"']")
_BARE = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_UNTOLD = re.compile(r"[|/\x00-\x1f\x7f]+")
_CHANNEL: Final = "poct1:"


def tree(document: bytes, encoding: str | None = None) -> tuple[Element, bool]:
    """A document's root, and whether its character set had to be guessed. Errors: DecodeError.

    Without a declared `encoding` it is what the document says, else UTF-8; bytes that are not UTF-8 are read as
    ISO 8859-1, as some devices write names. An `&` that was not escaped is an `&`.
    """
    try:
        return _tree(document, encoding)
    except DecodeError:
        repaired = _BARE.sub(b"&amp;", document)
        if repaired == document:
            raise
    return _tree(repaired, encoding)


def _tree(document: bytes, encoding: str | None) -> tuple[Element, bool]:
    try:
        if encoding is None:
            return parse(document), False
        return parse(_recoded(document, encoding)), False
    except UnicodeDecodeError as error:
        raise DecodeError(f"not {encoding}: {error.reason}", Reason.ENCODING) from None
    except DecodeError:
        if encoding or _is_utf8(document):
            raise
    return parse(_recoded(document, "latin-1")), True


def _recoded(document: bytes, encoding: str) -> bytes:
    text = document.decode(encoding)
    return _DECLARATION.sub("", text, count=1).encode("utf-8", "replace")


def _is_utf8(document: bytes) -> bool:
    try:
        document.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def said(element: Element | None) -> str:
    """What an element says: its `V`, else the text some makers put into it instead."""
    if element is None:
        return ""
    return (element.get("V") or "").strip() or (element.text or "").strip()


def at(element: Element | None, path: str) -> str:
    """What the element at `path` below says; "" where there is none."""
    return "" if element is None else said(element.find(path))


def control_id(raw: bytes) -> str:
    """The control id in a document that cannot be read; "" where none is found."""
    found = _CONTROL_ID.search(raw)
    return found[1].decode("utf-8", "replace") if found else ""


def count(text: str) -> int | None:
    """A quantity such as `DST.new_observations_qty`; None for anything that is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def quoted(text: str) -> str:
    """Text fit for an attribute's value."""
    return html.escape(_NOT_XML.sub("", text))


def element(name: str, value: str, **more: str) -> str:
    """<NAME V="value"/> with further attributes."""
    rest = "".join(f' {key}="{quoted(text)}"' for key, text in more.items())
    return f'<{name} V="{quoted(value)}"{rest}/>'


@dataclass(frozen=True, slots=True)
class Style:
    """How a message is written: some devices send an XML declaration and name the type again in the header."""

    declaration: bool = False
    typed: bool = False


BARE: Final = Style()


def message(root: str, number: str, time: str, body: str, style: Style = BARE) -> bytes:
    """One whole message. `body` are its elements behind the header, written."""
    head = element("HDR.message_type", root) if style.typed else ""
    head += element("HDR.control_id", number) + element("HDR.version_id", "POCT1")
    head += element("HDR.creation_dttm", time)
    start = '<?xml version="1.0" encoding="utf-8"?>' if style.declaration else ""
    return f"{start}<{root}><HDR>{head}</HDR>{body}</{root}>".encode()


def style_of(document: bytes, root: Element) -> Style:
    """The style a document is written in."""
    declared = document.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml")
    return Style(declared, root.find("HDR/HDR.message_type") is not None)


def acknowledgement(to: str, kind: str = "AA", note: str = "", names: Iterable[str] = ("ACK.ack_control_id",)) -> str:
    """The body of an ACK.R01."""
    told = "".join(element(name, to) for name in names) + (element("ACK.note_txt", note) if note else "")
    return f"<ACK>{element('ACK.type_cd', kind)}{told}</ACK>"


def acknowledged(root: Element) -> tuple[str, bool]:
    """What an ACK.R01 acknowledges, and whether it accepts it (an error code beside AA is only a remark)."""
    body = root.find("ACK")
    kind = at(body, "ACK.type_cd") or at(body, "ACK.type_id")
    return at(body, "ACK.ack_control_id") or at(body, "ACK.control_id"), kind.upper() == "AA"


@dataclass(frozen=True, slots=True)
class Hello:
    """Who a device says it is, and what it can do (HEL.R01)."""

    vendor: str = ""
    model: str = ""
    serial: str = ""
    device: str = ""
    maker: str = ""
    name: str = ""
    topics: frozenset[str] = frozenset()
    directives: frozenset[str] = frozenset()
    timeout: float | None = None  # seconds it waits for an answer

    @property
    def names(self) -> str:
        """Everything it calls itself, to recognise it by."""
        return "|".join((self.vendor, self.maker, self.model, self.name, self.device))

    @property
    def channel(self) -> str:
        """Who sent a message, kept beside it: vendor, model, serial number, device id, maker, name."""
        told = (self.vendor, self.model, self.serial, self.device, self.maker, self.name)
        return _CHANNEL + "|".join(_UNTOLD.sub("-", text)[:MOST_IDENTITY] for text in told)


def hello(root: Element) -> Hello:
    """A HEL.R01."""
    device = root.find("DEV")
    if device is None:
        return Hello()
    names = {"vendor": "vendor_id", "model": "model_id", "serial": "serial_id", "device": "device_id"}
    names |= {"maker": "manufacturer_name", "name": "device_name"}
    told = {field: at(device, f"DEV.{name}") for field, name in names.items()}
    timeout = re.fullmatch(r"\d{1,5}(?:\.\d{1,3})?", next(_said(device, "DCP.application_timeout"), ""), re.ASCII)
    return Hello(
        **told,
        topics=frozenset(_said(device, "DSC.topics_supported_cd")),
        directives=frozenset(_said(device, "DSC.directives_supported_cd")),
        timeout=float(timeout[0]) if timeout and float(timeout[0]) > 0 else None,
    )


def _said(device: Element, name: str) -> Iterator[str]:
    return (said(one) for one in device.iter(name))


def sender(channel: str) -> Hello | None:
    """Who sent a message, from what is kept beside it; None where that is not known."""
    parts = channel.removeprefix(_CHANNEL).split("|")
    if not channel.startswith(_CHANNEL) or len(parts) != 6:
        return None
    vendor, model, serial, device, maker, name = parts
    return Hello(vendor, model, serial, device, maker, name)
