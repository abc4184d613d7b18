"""Files that instruments' software exports: tables of any make, by declaration."""

from __future__ import annotations

from drivers.kit.declare import Driver, Evidence, Identity
from drivers.kit.exchange import Exchange, Speaker
from drivers.kit.printer import Printer
from drivers.kit.whole import Whole
from drivers.table.dialects import VARIANTS
from drivers.table.options import TableOptions
from drivers.table.reading import decode
from drivers.table.written import encode, observes

LONGEST = 64 << 20  # bytes of a file: what the link reads


def host(_options: TableOptions) -> Exchange:
    """The gateway's side: every file is a message."""
    return Whole(max_message=LONGEST)


def instrument(_options: TableOptions) -> Speaker:
    """A simulated instrument: every message is a file."""
    return Printer()


DRIVER = Driver(
    name="table",
    maker="any",
    summary="Exports in a watched folder: CSV and other delimited text, workbooks, XML, JSON; which column is what is "
    "declared.",
    links=("file",),
    options=TableOptions,
    quantities=(),
    observes=observes,
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    variants=VARIANTS,
    identity=lambda _options: Identity.CONTENT,
    evidence=Evidence.MANUAL,
    sources=("The software's manual, or one of its exports: the names of the columns",),
    example="""\
[[devices]]
id = "elisa-reader-1"
driver = "table"
link = { type = "file", path = "/srv/exports/elisa", pattern = "*.csv" }
timezone = "Asia/Karachi"
separator = ";"
time = "Measured"
specimen = "Sample"
operator = "Operator"
kind = "Type"
samples = ["Sample"]
qc = ["Control"]
empty = ["---", "N/A"]
results = [
  { value = "OD 450", quantity = "absorbance-450" },
  { value = "Concentration", unit = "ng/mL", quantity = "crp" },
]
""",
)
