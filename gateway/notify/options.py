"""What `[[notifiers]]` tables may say."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.secrets import SecretRef


class NotifierOptions(BaseModel):
    """Who is told, through apprise's addresses (https://github.com/caronc/apprise/wiki), or in the log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    type: Literal["apprise", "log"] = "apprise"
    urls: tuple[SecretRef, ...] = ()

    @model_validator(mode="after")
    def _addresses(self) -> NotifierOptions:
        if self.type == "apprise" and not self.urls:
            raise ValueError('has no urls. Write urls = [{ env = "ONCALL_URL" }].')
        return self
