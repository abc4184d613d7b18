"""What an instrument printed, taken apart by declaration, made into one draft.

A driver that knows which piece of a line, column or tag is what gives them here as facts: `value`, `sign`, `status`,
`flags`, `specimen` and so on, named as a `Draft` names them; any other name becomes an attribute. What a status, a
flag or a masked value means is declared as a verdict: "good", "uncertain", "bad", with a reason behind a colon. A
status nobody declared is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from drivers.kit.declare import Options, Quantity
from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Json, Kind, Quality
from drivers.kit.regular import Pattern

OF_THE_VALUE: Final = ("value", "sign", "comparator", "unit", "status", "flags", "call", "error")
OF_THE_RUN: Final = ("specimen", "patient", "operator", "lot", "lot_expiry", "run", "date", "time", "test", "kind")
MOST_TEXT: Final = 400  # characters of one fact
BLANKS: Final = " \t\r\n\0"  # not the separators 1C to 1F, which str.strip takes for white space and makers for flags
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?|[-+]?[.,]\d+")
_BRACKETED = re.compile(r"([-+]?\d*\.?\d*)\[(\d+)\](\d*)")  # digits that are shown but not certified
_SPACED = re.compile(r"([-+])\s+(\S.*)")
_COMMA = re.compile(r"((?:[<>]=?\s*)?[-+]?\d+),(\d+)")
_CLOCK: Final = ("year", "month", "day", "hour", "minute")
_ATTACHED = re.compile(r"((?:[<>]=?\s*)?[-+]?\d+(?:[.,]\d+)?)\s*([A-Za-zµμ%°/][^\s]{0,31})")


def _verdict(text: str) -> str:
    quality, _, _reason = text.partition(":")
    if quality not in ("good", "uncertain", "bad", "ignore"):
        raise ValueError(f'{text!r} is no verdict. Write "good", "uncertain: why", "bad: why" or "ignore".')
    return text


Verdict = Annotated[str, AfterValidator(_verdict)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
QuantityName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]


class Item(Options):
    """One thing that is observed, as far as the instrument does not say it itself."""

    quantity: QuantityName | None = None
    test: str = ""
    """The instrument's own name for it."""
    unit: str | None = Field(None, min_length=1)
    """UCUM, where the instrument says none or another than it means."""
    kind: Kind = Kind.READING
    code: str | None = Field(None, pattern=r"^[a-z0-9.-]+:\S+$")
    low: float | None = None
    high: float | None = None
    step: float | None = None
    words: tuple[str, ...] = ()
    """What it says where it does not say a number."""
    nothing: dict[Pattern, Verdict] = Field(default_factory=dict)
    """Texts that stand where the value would, as regular expressions, and what they mean."""
    suspect: dict[str, Verdict] = Field(default_factory=dict)
    """Numbers that are no measurement ("85.0": what a sensor says after power-on), and what they mean."""
    form: Literal["text", "hex16"] = "text"
    """"hex16": four hexadecimal digits, a signed number."""
    decimals: int = Field(0, ge=0, le=9)
    """How many of its digits stand behind a decimal sign that is not sent."""
    comma: bool = False
    """Its decimal sign may be a comma as well as a dot; it never has thousands."""
    attached: bool = False
    """Its unit follows the number, with or without a blank between ("28.94mUI/ml")."""

    @property
    def named(self) -> str:
        """Its quantity, or one made of its test."""
        return self.quantity or slug(self.test) or "value"

    def observed(self, source: str = "") -> Quantity:
        """Its declaration."""
        return Quantity(
            name=self.named,
            unit=self.unit,
            kind=self.kind,
            code=self.code,
            low=self.low,
            high=self.high,
            step=self.step,
            words=self.words,
            field=self.test,
            source=source,
        )


class Rules(Options):
    """What an instrument's own signs mean."""

    statuses: dict[str, Verdict] = Field(default_factory=dict)
    """What a status says of its value; one that is not declared makes the message unreadable. "" is no status."""
    flag_codes: dict[str, str] = Field(default_factory=dict)
    """The instrument's flags -> HL7 table 0078 ("1" = "H"); "" drops one, undeclared flags are kept as they are."""
    flag_verdicts: dict[str, Verdict] = Field(default_factory=dict)
    """Flags that say how good the value is."""
    calls: dict[str, str] = Field(default_factory=dict)
    """The instrument's own words -> positive, negative, invalid ... ("R" = "reactive")."""
    qc: tuple[Pattern, ...] = ()
    """Regular expressions of the specimens that are controls."""
    qc_kinds: tuple[str, ...] = ()
    """What the fact `kind` says of a control."""


def slug(text: str) -> str:
    """A quantity's name from an instrument's: LYM# and LYM% are two."""
    text = text.replace("#", " count").replace("%", " percent")
    return "-".join(re.findall(r"[a-z0-9]+", text.casefold()))


def make(facts: Mapping[str, str], item: Item, rules: Rules, extra: Mapping[str, Json]) -> Draft | None:
    """The draft of one value; None where there is none, or its status says to ignore it. Errors: DecodeError."""
    said = {name: text.strip(BLANKS)[:MOST_TEXT] for name, text in facts.items()}
    work = _Work(item, said, dict(extra))
    flags = tuple(flag for sign in work.flags() if (flag := rules.flag_codes.get(sign, sign)))
    work.judge_status(rules)
    for sign in work.flags():
        work.judge(rules.flag_verdicts.get(sign, ""), f"flag {sign}")
    work.read_value()
    call = said.get("call") or None
    if work.ignored or (work.value is None and call is None and not work.masked and not work.bad):
        return None
    if call is not None:
        call = rules.calls.get(call, call) or None
    elif isinstance(work.value, str) and work.value in rules.calls:
        call = rules.calls[work.value]
    specimen = said.get("specimen") or None
    control = _is_control(specimen, said.get("kind", ""), rules)
    test = said.get("test") or item.test or item.named
    return Draft(
        kind=Kind.QC if control and item.kind is Kind.RESULT else item.kind,
        test=test,
        quantity=item.quantity,
        code=item.code,
        value=work.value,
        comparator=None,
        unit=work.unit,
        interpretation=call,
        flags=flags,
        specimen=specimen,
        patient=said.get("patient") or None,
        operator=said.get("operator") or None,
        lot=said.get("lot") or None,
        lot_expiry=said.get("lot_expiry") or None,
        run=said.get("run") or None,
        device_time=_time(said),
        quality=work.quality,
        quality_reason=work.reason,
        attributes=work.attributes(),
    )


def _time(said: Mapping[str, str]) -> str | None:
    """Date and time as they were said, the digits of both as one number where they are nothing else.

    Digits that only their place tells apart come as year, month, day, hour and minute.
    """
    if all(said.get(name) for name in _CLOCK):
        return "{year}-{month}-{day} {hour}:{minute}".format_map(said)
    date, time = said.get("date", ""), said.get("time", "")
    digits = re.fullmatch(r"\d{8}", date) and re.fullmatch(r"\d{4}(?:\d\d)?", time)
    return ("" if digits else " ").join(filter(None, (date, time))) or None


def _is_control(specimen: str | None, kind: str, rules: Rules) -> bool:
    marked = specimen is not None and any(re.fullmatch(pattern, specimen, re.IGNORECASE) for pattern in rules.qc)
    return marked or kind in rules.qc_kinds


class _Work:
    """What is being made of one value."""

    def __init__(self, item: Item, said: Mapping[str, str], extra: dict[str, Json]) -> None:
        self.item, self.said, self.extra = item, said, extra
        self.value: str | None = None
        self.unit: str | None = said.get("unit") or None
        self.quality = Quality.GOOD
        self.reason: str | None = None
        self.ignored = self.masked = False

    def flags(self) -> list[str]:
        """The flags, separated by blanks."""
        return [sign for sign in self.said.get("flags", "").split(" ") if sign]

    def judge_status(self, rules: Rules) -> None:
        """What the status says. Errors: DecodeError."""
        if "status" not in self.said:
            return
        status = self.said["status"]
        if status not in rules.statuses:
            raise DecodeError(f"unknown status {status[:20]!r}: declare it in `statuses`")
        if status:
            self.extra["status"] = status
        self.judge(rules.statuses[status], f"status {status}")

    def judge(self, verdict: str, said: str) -> None:
        """Take over a verdict unless a worse one stands already."""
        quality, _, why = verdict.partition(":")
        self.ignored |= quality == "ignore"
        order = ("", "good", "uncertain", "bad")
        if quality in order and order.index(quality) > order.index(str(self.quality)):
            self.quality, self.reason = Quality(quality), why.strip() or said

    def read_value(self) -> None:
        """The value with its sign and comparator, exactly as printed but for blanks behind a sign."""
        printed = self.said.get("sign", "") + self.said.get("value", "")
        text = printed
        if spaced := _SPACED.fullmatch(text):
            text = spaced[1] + spaced[2]
        if shown := _BRACKETED.fullmatch(text):
            self.extra["as_displayed"] = text
            text = shown[1] + shown[2] + shown[3]
        for pattern, verdict in self.item.nothing.items():
            if re.fullmatch(pattern, text):
                self.masked = True
                self.judge(verdict, f"it says {text}")
                self.extra["printed_value"] = text
                return
        self._suspect(text)
        if self.bad:
            if text:
                self.extra["printed_value"] = text
            return
        text = self._scaled(self._without_unit(text))
        self.value = self.said.get("comparator", "") + text or None
        if self.unit is None and (self.item.unit and text):
            self.unit = self.item.unit

    def _without_unit(self, text: str) -> str:
        """ "28,94mUI/ml" where the unit is said too, or nothing else can follow the digits."""
        if self.unit and text.endswith(self.unit) and text != self.unit:
            return text.removesuffix(self.unit).strip()
        attached = _ATTACHED.fullmatch(text)
        if attached and self.item.attached and self.unit is None:
            self.unit = attached[2]
            return attached[1].strip()
        return text

    def _scaled(self, text: str) -> str:
        """The number with the decimal sign it was sent without."""
        item = self.item
        if item.comma and (match := _COMMA.fullmatch(text)):
            self.extra["value_as_sent"] = text
            return f"{match[1]}.{match[2]}"
        if not text or (item.form == "text" and not item.decimals):
            return text
        pattern = r"[0-9A-Fa-f]{4}" if item.form == "hex16" else r"([-+]?)0*(\d{1,15})"
        if not re.fullmatch(pattern, text):
            self.judge("uncertain: not the digits that are declared", "")
            return text
        number = int(text, 16) if item.form == "hex16" else int(text)
        number -= (number >= 0x8000) << 16 if item.form == "hex16" else 0
        self.extra["value_as_sent"] = text
        return f"{Decimal(number).scaleb(-item.decimals):f}"

    def _suspect(self, text: str) -> None:
        number = _decimal(text)
        for value, verdict in self.item.suspect.items():
            if number is not None and number == _decimal(value):
                self.judge(verdict, f"it says {text}")
                self.masked = True

    @property
    def bad(self) -> bool:
        """Whether the value is none."""
        return self.quality is Quality.BAD

    def attributes(self) -> dict[str, Json]:
        """What else was said."""
        known = (*OF_THE_VALUE, *OF_THE_RUN, *_CLOCK)
        return {**self.extra, **{name: text for name, text in self.said.items() if name not in known and text}}


def _decimal(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text.replace(",", "."))
    except InvalidOperation:
        return None


def as_sent(value: Any, item: Item) -> Any:
    """A value as the instrument sends it: the other way round from what `form` and `decimals` say."""
    if value is None or (item.form == "text" and not item.decimals):
        return value
    digits = int(Decimal(str(value)).scaleb(item.decimals).to_integral_value())
    return f"{digits & 0xFFFF:04X}" if item.form == "hex16" else str(digits)


def drawn_facts(drawn: Mapping[str, Any]) -> dict[str, Any]:
    """What a model drew, as facts to print: those of the run; `time` and `date` are both its time."""
    told = {name: drawn.get(name) for name in OF_THE_RUN if drawn.get(name) is not None}
    return told | {"time": drawn.get("time"), "date": drawn.get("time")}
