"""What is known of an instrument's calibration: who calibrated it, when, and until when that holds."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Calibration(BaseModel):
    """The calibration in force (ISO/IEC 17025 7.8.4: the certificate names it)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    done: date | None = Field(None, description="when it was calibrated")
    due: date | None = Field(None, description="until when that holds; an alarm comes before")
    certificate: str = Field("", description="number of the certificate")
    by: str = Field("", description="who calibrated it")
    note: str = Field("", description="correction, uncertainty, range")

    @model_validator(mode="after")
    def _in_order(self) -> Calibration:
        if self.done and self.due and self.due < self.done:
            raise ValueError("due is before done.")
        return self
