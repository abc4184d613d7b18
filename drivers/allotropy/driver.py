"""Files of laboratory instruments' software through allotropy: every format it knows, into one model."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta, timezone
from importlib import import_module
from itertools import islice
from pathlib import PureWindowsPath
from typing import Any, Final

from drivers.allotropy.dates import Dates
from drivers.allotropy.documents import drafts
from drivers.allotropy.options import AllotropyOptions
from drivers.allotropy.written import encode, observes
from drivers.kit import spreadsheets
from drivers.kit.declare import Driver, Evidence, Identity, Message
from drivers.kit.exchange import DecodeError, Exchange, Reason, Speaker
from drivers.kit.observation import Draft
from drivers.kit.printer import Printer
from drivers.kit.whole import Whole

MOST_DRAFTS: Final = 100_000  # of one file: what the gateway takes of one message
LONGEST: Final = 64 << 20  # bytes of a file: what the link reads
NOWHERE: Final = timezone(timedelta(hours=23, minutes=47))  # marks times the file gives without a zone
TESTDATA: Final = "github.com/Benchling-Open-Source/allotropy tests/parsers"


def host(_options: AllotropyOptions) -> Exchange:
    """The gateway's side: every file is a message."""
    return Whole(max_message=LONGEST)


def instrument(_options: AllotropyOptions) -> Speaker:
    """A simulated instrument: every message is a file."""
    return Printer()


def decode(message: Message, options: AllotropyOptions) -> Iterator[Draft]:
    """The file's measurements. DecodeError for whatever allotropy cannot read, and where it is not installed."""
    if spreadsheets.is_archive(message.data):
        spreadsheets.compact(message.data)
    asm = _converted(message.data, _name(message.channel, options), options)
    seen: Counter[tuple[str, ...]] = Counter()
    dates = Dates(_texts(message.data), options.date_order)
    found = list(islice(drafts(asm, options, message.channel, dates), MOST_DRAFTS + 1))
    if len(found) > MOST_DRAFTS:
        raise DecodeError(f"more than {MOST_DRAFTS} results in one file", Reason.TOO_LONG)
    if not found:
        raise DecodeError("no measurement in it")
    for draft in found:
        identity = draft.identity or ()
        seen[identity] += 1
        yield draft if seen[identity] == 1 else replace(draft, identity=(*identity, f"#{seen[identity]}"))


def _name(channel: str, options: AllotropyOptions) -> str:
    """The file's name, which some formats hold facts in; parsers choose by its ending."""
    name = PureWindowsPath(channel or "export").name
    return f"{PureWindowsPath(name).stem}.{options.extension}" if options.extension else name


def _converted(data: bytes, name: str, options: AllotropyOptions) -> Mapping[str, Any]:
    try:
        library: Any = import_module("allotropy.to_allotrope")
        vendors: Any = import_module("allotropy.parser_factory").Vendor
    except ImportError:
        raise DecodeError("it needs the extra: pip install 'assaygate[allotropy]'", Reason.FAULT) from None
    if options.vendor not in vendors.__members__:
        raise DecodeError(f"allotropy knows no vendor {options.vendor}", Reason.FAULT)
    vendor = vendors[options.vendor]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its parsers warn, cell by cell, of what it then refuses or leaves out
            asm: Mapping[str, Any] = library.allotrope_from_io(
                io.BytesIO(data), name, vendor, default_timezone=NOWHERE, encoding=options.encoding
            )
    except Exception as error:  # noqa: BLE001 - parsers of fifty formats raise whatever their input makes them
        raise DecodeError(f"{type(error).__name__}: {error}"[:400]) from None
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of a reader in Rust, which is no Exception
            raise DecodeError(f"the reader gave up: {error}"[:400]) from None
        raise
    return asm


def _texts(data: bytes) -> Sequence[str]:
    """The file's text, or its cells, to look for dates in."""
    if not spreadsheets.is_archive(data):
        return [data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", "replace")]
    try:
        return [cell for row in spreadsheets.rows(data) for cell in row]
    except DecodeError:
        return []  # a zip archive of another kind


DRIVER = Driver(
    name="allotropy",
    maker="any",
    summary="Exports that allotropy reads: qPCR and digital PCR, plate readers, spectrophotometers, cell counters and "
    "analysers of many makers.",
    links=("file",),
    options=AllotropyOptions,
    quantities=(),
    observes=observes,
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    identity=lambda _options: Identity.CONTENT,
    evidence=Evidence.RECORDING,
    recordings=tuple(
        f"{TESTDATA}/{name}"
        for name in (
            *("appbio_absolute_q", "appbio_quantstudio", "cfxmaestro", "novabio_flex2", "qiacuity_dpcr"),
            *("thermo_fisher_nanodrop_one", "thermo_fisher_qubit4"),
        )
    ),
    sources=("https://github.com/Benchling-Open-Source/allotropy 0.1.150: its Vendor names",),
    example="""\
[[devices]]
id = "qiacuity-1"
driver = "allotropy"
link = { type = "file", path = "/srv/exports/qiacuity" }
timezone = "Asia/Karachi"
vendor = "QIACUITY_DPCR"
extension = "csv"
""",
)
