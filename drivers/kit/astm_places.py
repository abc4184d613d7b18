"""Places in a message, written as in the standard's tables, and what stands there.

"R4" is a field, "O3.2" a component of it, "O3.*" a field that is one component alone: a specimen's number, say, and not
the rack and position some instruments put there.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.kit.records import Record

Place = Annotated[str, Field(pattern=r"^[HPOR][1-9]\d?(\.([1-9]\d?|\*))?$")]
ALONE = -1  # the component number of "O3.*"


class Mark(BaseModel):
    """What tells a control material from a patient's specimen: one place and what stands there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: Place
    equals: str | None = None
    prefix: str | None = None
    pattern: str | None = None  # a regular expression found anywhere in it

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if sum(test is not None for test in (self.equals, self.prefix, self.pattern)) != 1:
            raise ValueError("exactly one of equals, prefix, pattern")
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return self

    def fits(self, record: Record) -> bool:
        """True where the field, or one of its components, is as declared."""
        source, number, component = located(record, self.field)
        if source is None:
            return False
        if not source.raw(number):
            return False
        texts = [source.component(number, component)] if component else [source.text(number)]
        if component <= 0:
            texts += source.components(number)
        return any(self._fits(text) for text in texts if text)

    def _fits(self, text: str) -> bool:
        if self.equals is not None:
            return text.casefold() == self.equals.casefold()
        if self.prefix is not None:
            return text.casefold().startswith(self.prefix.casefold())
        return re.search(self.pattern or "", text) is not None


# Control materials that laboratories call by their makers' names.
_MATERIALS = "lyphochek|liquichek|multiqual|seronorm|preci(?:control|norm|path)|acusera"
_LEVELS = r"(?:(?:pos|neg)(?:itive|ative)?|low|norm(?:al)?|high|(?:l|level|lot)[ _-]?\d{1,3})"
# O26 says Q of what answers a query (LIS02-A2 8.4.26): it marks no control.
CONTROLS = (
    Mark(field="H12", equals="Q"),  # LIS02-A2 6.12
    Mark(field="H12", equals="QR"),  # Mindray: results of controls; CR: of a calibration
    Mark(field="H12", equals="CR"),
    Mark(field="O12", equals="Q"),  # LIS02-A2 8.4.12
    Mark(field="O16", pattern=r"(?i)^(control|ctrl|qc)"),
    Mark(field="O3", pattern=r"(?i)^(qc|ctrl|control|contr[oô]le|kontrolle)(\d{1,2}$|(?![^\W_]))"),  # not QC0815
    Mark(field="O3", pattern=rf"(?i)^({_MATERIALS})(?![a-z])"),
    Mark(field="O3", pattern=rf"(?i)^{_LEVELS}[ _-]?(control|ctrl|qc)(?![^\W_])|^qc{_LEVELS}$"),
    Mark(field="O3", pattern=r"(?i)^cal(ibrator)?[ _-]?[a-h0-9]$"),
    # Sysmex: QC-...; Roche: rack^position^^QC^SC, on Elecsys CONTROL and CALIBR
    Mark(field="O4", pattern=r"(?i)^(qc|control|calibr\w*)(?![^\W_])"),
)


@cache  # places are declared: there are as many as a configuration holds
def _parsed(place: str) -> tuple[str, int, int]:
    number, _, component = place[1:].partition(".")
    return place[0], int(number), ALONE if component == "*" else int(component or 0)


def located(record: Record, place: str) -> tuple[Record | None, int, int]:
    """The record a place means, seen from `record`, with field and component number (0: the whole field)."""
    letter, number, component = _parsed(place)
    return record.above(letter), number, component


def said(record: Record, place: str) -> str:
    """What stands at `place`, seen from `record`; "" also where that is to be deleted (LIS02-A2 5.4.9).

    Of a field with several components O3 gives its first; others give nothing, because a rack and a position
    are no specimen: the component has to be declared. Several specimens pooled (O3 repeated) stay together.
    """
    text = _said(record, place)
    return "" if text == '""' else text


def _said(record: Record, place: str) -> str:
    source, number, component = located(record, place)
    if source is None:
        return ""
    if component > 0:
        return source.component(number, component)
    pieces = source.components(number)
    if component == ALONE:
        return pieces[0] if len(pieces) == 1 else ""
    if place == "O3" and (several := pool(record)):
        return source.delimiters.repeat.join(several)
    told = [piece for piece in pieces if piece]
    if len(told) == 1:
        return told[0]
    return pieces[0] if pieces and place == "O3" else ""


def pool(record: Record) -> list[str]:
    """The specimens of a pooled test: O3 repeated. [] where there is one specimen."""
    order = record.above("O")
    if order is None or not order.delimiters.repeat or order.delimiters.repeat not in order.raw(3):
        return []
    each = [[piece for piece in pieces if piece] for pieces in order.repetitions(3)]
    return [told[0] for told in each] if len(each) > 1 else []
