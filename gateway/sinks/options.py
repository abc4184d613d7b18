"""What a `[[sinks]]` table may say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from drivers.kit.durations import Duration
from gateway.secrets import SecretRef

_PLACES: Final = frozenset({"site", "device", "kind", "quantity"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Select(_Strict):
    """Which observations go to a sink; everything where a list is empty."""

    kinds: tuple[Literal["result", "qc", "reading", "event", "status"], ...] = ()
    devices: tuple[str, ...] = Field((), description='device ids, with * and ?: ["freezer-*"]')
    quantities: tuple[str, ...] = Field((), description='quantities, with * and ?: ["temperature"]')


class _Sink(_Strict):
    id: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
        description="owns the place in the journal: a new id starts from the first observation",
    )
    select: Select = Select()


class InfluxOptions(_Sink):
    """InfluxDB 2 and 3, VictoriaMetrics, vmagent (`/api/v2/write`), or InfluxDB 1.x (`version = "1"`: `/write`)."""

    type: Literal["influxdb"]
    url: str = Field(pattern=r"^https?://[^\s?#]+$", description='"http://127.0.0.1:8086"; may have a path')
    version: Literal["1", "2"] = Field("2", description="which write API the store has")
    org: str = Field("", description="InfluxDB 2; VictoriaMetrics ignores it")
    bucket: str = Field("assaygate", min_length=1, description="InfluxDB 2; VictoriaMetrics ignores it")
    token: SecretRef | None = None
    database: str = Field("", description="InfluxDB 1.x: must exist")
    retention_policy: str = Field("", description="InfluxDB 1.x; the database's default where empty")
    username: str = Field("", description="InfluxDB 1.x")
    password: SecretRef | None = Field(None, description="InfluxDB 1.x")
    ca_file: Path | None = Field(None, description="certificates to trust instead of the system's")
    measurement: str | None = Field(None, min_length=1, description="one name for all; the kind where not set")
    words: bool = Field(True, description="short texts become the tag `word`, for stores that keep only numbers")
    batch: int = Field(1000, ge=1, le=10_000, description="most lines in one request")
    linger: Duration = Field(0.2, ge=0, description="how long the first new observation waits for others")
    gzip: bool = True
    timeout: Duration = Field(30.0, gt=0, description="for one request")
    resend: Duration = Field(60.0, description="what was acknowledged so shortly before a restart is sent again")
    ahead: Duration = Field(2 * 86400.0, description="later than now by more than this is refused, not sent")

    @model_validator(mode="after")
    def _complete(self) -> InfluxOptions:
        if self.version == "1" and not self.database:
            raise ValueError('version = "1" needs a database. Write database = "...".')
        if self.version == "2" and (self.database or self.retention_policy or self.username or self.password):
            raise ValueError(
                "database, retention_policy, username and password belong to InfluxDB 1.x. "
                'Write version = "1", or bucket and token.'
            )
        if self.version == "1" and self.token:
            raise ValueError("InfluxDB 1.x has no tokens. Write username and password.")
        return self


class MqttOptions(_Sink):
    """Every observation as one JSON message on a configured broker."""

    type: Literal["mqtt"]
    broker: str = Field(description="id of one of the [[brokers]]")
    topic: str = Field("assaygate/{site}/{device}/{quantity}", min_length=1, max_length=1000)
    retain: bool = Field(True, description="the broker keeps the last value of every topic")
    qos: Literal[0, 1] = Field(1, description="1: the cursor waits for the broker's acknowledgement")
    identified: bool = Field(False, description="with specimen, patient and operator")
    batch: int = Field(200, ge=1, le=10_000, description="most messages under way at once")
    linger: Duration = Field(0.05, ge=0)
    timeout: Duration = Field(10.0, gt=0)

    @field_validator("topic")
    @classmethod
    def _publishable(cls, topic: str) -> str:
        places = set(re.findall(r"\{([^{}]*)\}", topic))
        rest = re.sub(r"\{[^{}]*\}", "", topic)
        if places - _PLACES or re.search(r"[{}+#\x00]", rest):
            raise ValueError("is not a topic to publish on. Use {site} {device} {kind} {quantity}, no + or #.")
        return topic


class NdjsonOptions(_Sink):
    """Every observation as one line of JSON in a file, as `assaygate export` writes it."""

    type: Literal["ndjson"]
    path: Path = Field(description="the file being written; finished ones stand beside it, named by their first seq")
    rotate_bytes: int | None = Field(64 << 20, ge=1024, description="a new file after so many bytes")
    rotate_daily: bool = Field(False, description="a new file every UTC day")
    identified: bool = Field(True, description="with specimen, patient and operator; the file is readable by us alone")
    batch: int = Field(1000, ge=1, le=10_000)
    linger: Duration = Field(0.2, ge=0)


SinkOptions = Annotated[InfluxOptions | MqttOptions | NdjsonOptions, Field(discriminator="type")]
