"""What a `[[devices]]` table may say about an HL7 analyser."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from drivers.kit.declare import Options
from drivers.kit.hl7_groups import Anywhere, Entry, Place, found, located
from drivers.kit.observation import Status
from drivers.kit.results import Encoding


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


def _one_group(pattern: str) -> str:
    if re.compile(_compiles(pattern)).groups != 1:
        raise ValueError("a pattern with one group in brackets is wanted")
    return pattern


Noted = Annotated[str, AfterValidator(_one_group)]


class Mark(BaseModel):
    """What tells some observations from others: one place (or a whole segment, "OBX") and what stands there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: Anywhere
    equals: str | None = None
    prefix: str | None = None
    pattern: Annotated[str, AfterValidator(_compiles)] | None = None  # found anywhere in it

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if sum(test is not None for test in (self.equals, self.prefix, self.pattern)) != 1:
            raise ValueError("exactly one of equals, prefix, pattern")
        return self

    def fits(self, entry: Entry) -> bool:
        """True where any of the segments the observation belongs to says so."""
        return any(
            self._fits(text) for segment in entry.all(located(self.field)[0]) if (text := found(segment, self.field))
        )

    def _fits(self, text: str) -> bool:
        if self.equals is not None:
            return text.casefold() == self.equals.casefold()
        if self.prefix is not None:
            return text.casefold().startswith(self.prefix.casefold())
        return re.search(self.pattern or "", text) is not None


# Who or what is called a control and nothing else is one; longer names may be anybody's.
CONTROL: Final = r"(?i)^(QC|control|ctrl)$"
CONTROLS = (
    Mark(field="SPM-11", pattern=r"^[QCEVOFB]$"),  # table 0369
    Mark(field="SPM-4", pattern=r"(?i)^(QC\d*|control)$"),
    Mark(field="INV-3", equals="CO"),  # of the specimen's own container; table 0384
    Mark(field="MSH-11", equals="Q"),  # haematology analysers of Mindray's kind
    Mark(field="MSH-16", pattern=r"^[12]$"),  # their chemistry analysers: 1 calibration, 2 control
    Mark(field="OBR-4.1", pattern=r"^([LPE]?QC|0000[3-9])$"),
    Mark(field="OBR-4.2", pattern=r"(?i)\b(L?QCR?|quality control)\b|^controls?$"),
    Mark(field="OBR-4.4", pattern=r"^[LPE]?QC$"),
    Mark(field="OBR-11", equals="Q"),  # as in LIS02-A2's O-12
    Mark(field="PID-3.4", equals="QC"),
    *(Mark(field=field, pattern=CONTROL) for field in ("PID-2", "PID-3", "OBR-2", "OBR-3", "SPM-2")),
    Mark(field="PID-5", equals="QC"),
)
# What is asked or told of the person when a test is ordered: LOINC of ages and of the questions of public health.
QUESTIONS: Final = (
    *("30525-0", "35659-2", "21612-7", "29553-5"),
    *("95418-0", "95419-8", "65222-2", "77974-4", "95420-6", "95421-4", "75617-1", "82810-3", "81959-9"),
)
# What a blood count was made with rather than what it says.
_SETTING: Final = r"(?i)^((take|blood|test|sample|work(ing)?) ?mode|ref(erence)? ?group|remarks?|age)$"
# Data beside results: raw signals, cut-offs, times (IHE LAW: OBX-3.4), whatever is no single value.
SUPPLEMENTS = (
    Mark(field="OBX-3.4", pattern=r"^S_"),
    Mark(field="OBX-3.1", pattern=r"\.(RLU|COFF)$"),  # Siemens: light units and cut-off, in the unit of the dose
    Mark(field="OBX-29", pattern=r"^(AOE|ASC|QST|SCI)$"),  # v2.8.2 table 0936: answers to questions, no results
    Mark(field="OBX-3.1", pattern=f"^({'|'.join(QUESTIONS)})$"),
    *(Mark(field=field, pattern=_SETTING) for field in ("OBX-3.1", "OBX-3.2")),
    Mark(field="OBX-3.2", pattern=r"^MDC_(ATTR_|DEV_.*_(MDS|VMD|CHAN)$)"),  # ISO/IEEE 11073: devices and their parts
    Mark(field="OBX-2", pattern=r"^(ED|RP|NA|MA|DR|TS|DT|TM|DTM|EI|CX|XCN|XPN|XAD|XTN|XON|AD|PN|FC|HD)$"),
)


class Hl7Options(Options):
    """Places are written "OBX-5", "SPM-2.1" (a component), "OBX-3.1.2" (a subcomponent), "OBX-18[2]" (a repetition)."""

    framing: Literal["mllp", "none"] = "mllp"
    """"none": messages as plain text (files always may be), each up to the next MSH or a pause; nothing is answered."""
    commit: bool = False
    """MLLP release 2: a commit block before every answer."""
    encoding: Encoding | None = None
    """Character set of senders that do not say it in MSH-18, or wrongly."""
    enhanced: Literal["follow", "original"] = "follow"
    """"follow": acknowledge as MSH-15 and MSH-16 ask. "original": always one application acknowledgement."""
    host_query: Literal["answer", "ignore"] = "answer"
    """"answer": tell an analyser that asks for orders that there are none (some stall without an answer)."""
    recognise: bool = True
    """Take a known dialect's presets where the instrument names itself; options given here go first."""
    demographics: bool = False
    """Keep PID's name, birth date, sex, address and the like in the observations' attributes."""
    training: Literal["doubt", "keep"] = "doubt"
    """Messages marked as training or debugging (MSH-11 is T or D): "doubt" makes their results uncertain."""
    test: tuple[Place, ...] = ("OBX-3.1", "OBX-3.2", "OBX-3.4", "OBX-3.5", "OBX-4")
    """The instrument's name of the test: key of the `tests` map."""
    name: tuple[Place, ...] = ("OBX-3.2", "OBX-4")
    """Where a test whose name is a bare number says what it is."""
    specimen: tuple[Place, ...] = ("SPM-2.1", "SPM-2.2", "SAC-3", "OBR-3", "OBR-2", "ORC-3", "ORC-2")
    patient: tuple[Place, ...] = ("PID-3", "PID-2")
    no_patient: tuple[str, ...] = ("UNKNOWN",)
    """What stands for no patient."""
    operator: tuple[Place, ...] = ("OBX-16.1", "OBX-16.2", "OBR-34.1")
    time: tuple[Place, ...] = ("OBX-19", "OBX-14", "TQ1-8", "OBR-7", "MSH-7")
    """When it was measured: the first that holds a time; `time_source` in the attributes says which."""
    value: tuple[Place, ...] = ("OBX-5",)
    """"OBX-5": as its type in OBX-2 says; any other place: the text there."""
    call: Place | Literal[""] = ""
    """Where a call stands beside a value."""
    unit: tuple[Place, ...] = ("OBX-6.1", "OBX-6.2")
    flags: Place | Literal[""] = "OBX-8"
    flag_codes: dict[str, str] = Field(default_factory=dict)
    """What the instrument's own flags are in table 0078; "" for none."""
    flag_calls: dict[str, str] = Field(default_factory=dict)
    """Flags of OBX-8 that are calls, beyond table 0078's POS, NEG, DET, ND, RR, NR, WR, IND, R, S, I."""
    no_value: tuple[str, ...] = ()
    """What the instrument writes for "no value"."""
    status: dict[str, Status] = Field(default_factory=dict)
    """What OBX-11 means, where it is not as in table 0085."""
    run: tuple[Place, ...] = ()
    lot: tuple[Place, ...] = ("INV-16",)
    lot_expiry: tuple[Place, ...] = ("INV-12",)
    noted: dict[Literal["lot", "lot_expiry", "run"], Noted] = Field(default_factory=dict)
    """What remarks (NTE-3) say in passing: patterns with one group."""
    control_lot: tuple[Place, ...] = ()
    """Where only controls say their lot: in messages of patients something else stands there."""
    control_expiry: tuple[Place, ...] = ()
    qc: tuple[Mark, ...] = CONTROLS
    """Marks of a control material; any one of them makes the result a QC result."""
    supplements: tuple[Mark, ...] = SUPPLEMENTS
    """Observations that are no results of their own: they stay with the order's result, in its attributes."""
    checks: tuple[Mark, ...] = ()
    """Observations of the instrument itself: status, never a result."""
    max_message: int = Field(8 * 1024 * 1024, ge=4096, le=64 * 1024 * 1024)
    shape: Literal["ORU^R01", "OUL^R22"] = "OUL^R22"
    """What the simulated instrument sends."""
    sender: str = "SIMULATOR"
    """MSH-3 of the simulated instrument."""
