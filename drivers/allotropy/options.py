"""What a `[[devices]]` table may say about files that allotropy reads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drivers.kit.declare import Options


class AllotropyOptions(Options):
    """Whose software wrote the files, and what the files themselves do not say."""

    vendor: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,60}$")]
    """The software, by allotropy's name: APPBIO_QUANTSTUDIO, CFXMAESTRO, QIACUITY_DPCR, NOVABIO_FLEX2 ..."""
    extension: Annotated[str, Field(pattern=r"^[a-z0-9]{1,10}$")] | None = None
    """Read every file as if its name ended so ("csv"), whatever it is called."""
    encoding: str | None = None
    """The files' character set, where they are text and not UTF-8."""
    date_order: Literal["mdy", "dmy"] | None = None
    """How the software writes 03/04/2026. Undeclared, a date that could be two days leaves the time open."""
    controls: Annotated[tuple[str, ...], Field(max_length=50)] = ("NTC", "NAC", "NEC", "NRT", "QC", "CTRL")
    """What a control's sample name begins with, in any case."""
