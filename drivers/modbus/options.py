"""What a `[[devices]]` table may say about registers and what stands in them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from drivers.kit.declare import Options
from drivers.kit.durations import Duration
from drivers.kit.modbus import MOST_REGISTERS, Framing, Table

Type = Literal["int16", "uint16", "int32", "uint32", "float32", "int64", "float64", "bit", "string", "bcd"]
Words = Literal["ABCD", "CDAB", "BADC", "DCBA"]

LENGTHS = {"int32": 2, "uint32": 2, "float32": 2, "int64": 4, "float64": 4}


class RegisterOption(Options):
    """One thing that stands in one or more registers, or in a bit."""

    quantity: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)
    at: int = Field(ge=0, le=65_536)
    """Where it stands: the number in the manual. `base` says what the manual counts from."""
    table: Table = "holding"
    """"holding" (function 03, documented as 4xxxx), "input" (04, 3xxxx), "discrete" (02, 1xxxx), "coil" (01, 0xxxx)."""
    type: Type = "int16"
    """Of coils and discrete inputs always "bit"."""
    bit: int | None = Field(None, ge=0, le=15)
    """Which bit of a register, 0 the lowest."""
    length: int = Field(1, ge=1, le=MOST_REGISTERS)
    """Registers of a string or of a bcd number."""
    words: Words = "ABCD"
    """The order in which bytes arrive: "ABCD" the highest first, "CDAB" the low register first, "BADC" and "DCBA" the
    same with the two bytes of each register swapped. Longer ones alike."""
    scale: float = Field(1.0, gt=-1e12, lt=1e12, allow_inf_nan=False)
    """What the number is multiplied by: 0.1 for tenths. Computed in decimals; the number as sent is kept beside it."""
    offset: float = Field(0.0, gt=-1e12, lt=1e12, allow_inf_nan=False)
    """What is added to it afterwards."""
    unit: str | None = Field(None, min_length=1)
    low: float | None = Field(None, allow_inf_nan=False)
    """Below this a reading is not plausible, so bad; with `high` what the simulator draws from."""
    high: float | None = Field(None, allow_inf_nan=False)
    invalid: Annotated[tuple[int | float, ...], Field(max_length=50)] = ()
    """Numbers as sent that are no measurements: an open thermocouple, a sensor that is not fitted."""
    map: dict[int, str] | None = Field(None, min_length=1, max_length=200)
    """What numbers as sent mean: { 0 = "closed", 1 = "open" }."""
    kind: Literal["reading", "status", "event"] = "reading"
    station: int | None = Field(None, ge=0, le=255)
    """The unit it is read from, where that is another one on the same line than the device's `unit`."""

    @property
    def registers(self) -> int:
        """How many registers it takes, or bits of a table of bits."""
        return self.length if self.type in ("string", "bcd") else LENGTHS.get(self.type, 1)

    @model_validator(mode="after")
    def _fits(self) -> RegisterOption:
        bits = self.table in ("coil", "discrete")
        if bits and (self.type not in ("int16", "bit") or self.bit is not None):
            raise ValueError(f'a {self.table} is one bit. Leave out `type` and `bit`, or use table = "holding".')
        if self.bit is not None and self.type not in ("bit", "int16", "uint16"):
            raise ValueError(f'`bit` is of one register. Write type = "bit" instead of {self.type!r}.')
        if self.type == "bit" and self.bit is None and not bits:
            raise ValueError("which bit of the register? Write bit = 0 for the lowest.")
        if self.length > 1 and self.type not in ("string", "bcd"):
            raise ValueError(f"`length` is of strings and bcd. An {self.type} has its own.")
        if self.type == "bcd" and self.length > 4:
            raise ValueError("a bcd number has at most 4 registers.")
        if not self.scale:
            raise ValueError("scale = 0 would make every reading 0.")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("`low` is not below `high`.")
        return self

    @property
    def is_bit(self) -> bool:
        """Whether it is a yes or no."""
        return self.type == "bit" or self.bit is not None or self.table in ("coil", "discrete")


class ModbusOptions(Options):
    """What is read, and how often. Nothing is ever written."""

    framing: Framing | None = None
    """"rtu", "ascii" or "tcp". By default RTU on a serial line and Modbus TCP over TCP; say "rtu" where a converter
    passes a serial line's bytes over TCP as they are."""
    unit: int = Field(1, ge=0, le=255)
    """The instrument's address on the line; over TCP to a device of its own mostly 1 or 255."""
    poll: Duration = Field(10.0, gt=0)
    """How often everything is read."""
    timeout: Duration = Field(2.0, gt=0)
    """How long an answer may take."""
    base: Literal[0, 1] = 0
    """What the manual counts registers from: 0 as on the wire, or 1."""
    gap: int = Field(0, ge=0, le=50)
    """Undeclared registers that may be read along between two declared ones, to read both with one question. Many
    instruments answer such a question with illegal-data-address, so none by default."""
    block: int = Field(MOST_REGISTERS, ge=1, le=MOST_REGISTERS)
    """Registers one question may ask for at most."""
    registers: Annotated[tuple[RegisterOption, ...], Field(min_length=1, max_length=500)]

    @field_validator("registers")
    @classmethod
    def _once(cls, registers: tuple[RegisterOption, ...]) -> tuple[RegisterOption, ...]:
        names = [register.quantity for register in registers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is declared twice. Call one of them otherwise.")
        return registers

    @model_validator(mode="after")
    def _in_table(self) -> ModbusOptions:
        for register in self.registers:
            if register.at < self.base or register.at - self.base + register.registers > 65_536:
                raise ValueError(f"{register.quantity}: there is no register {register.at} counted from {self.base}.")
        return self
