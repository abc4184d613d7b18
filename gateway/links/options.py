"""What `link = {...}` and `[[brokers]]` tables may say."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from drivers.kit.durations import Duration
from gateway.secrets import SecretRef

PortNumber = Annotated[int, Field(ge=1, le=65535)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SerialOptions(_Strict):
    """A serial port. Name it by /dev/serial/by-id/...: that name stays when it is plugged in elsewhere."""

    type: Literal["serial"]
    port: str = Field(min_length=1)
    baudrate: int = Field(9600, ge=50, le=4_000_000)
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O", "M", "S"] = "N"
    stopbits: Literal[1, 2] = 1
    xonxoff: bool = False
    rtscts: bool = False
    dtr: bool | None = Field(None, description="set this line after opening; some instruments reset on it")
    rts: bool | None = None

    @property
    def address(self) -> str:
        return self.port


class TcpOptions(_Strict):
    """We connect to the instrument."""

    type: Literal["tcp"]
    host: str = Field(min_length=1)
    port: PortNumber

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class TcpListenOptions(_Strict):
    """The instrument connects to us. Several devices may share a port; `allow` tells them apart."""

    type: Literal["tcp-listen"]
    host: str = "127.0.0.1"
    port: PortNumber
    allow: tuple[str, ...] = Field((), description='addresses or networks, "10.20.0.0/24"; empty: any peer')

    @field_validator("allow")
    @classmethod
    def _networks(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for entry in allow:
            try:
                ipaddress.ip_network(entry, strict=False)
            except ValueError:
                raise ValueError(f'{entry!r} is no address. Write "10.20.0.7" or "10.20.0.0/24".') from None
        return allow

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class MqttLinkOptions(_Strict):
    """Topics on one of the [[brokers]]; + and # as usual."""

    type: Literal["mqtt"]
    broker: str
    topic: str | tuple[str, ...]

    @field_validator("topic")
    @classmethod
    def _filters(cls, topic: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for one in (topic,) if isinstance(topic, str) else topic:
            levels = one.split("/")
            wrong = any(("+" in level or "#" in level) and len(level) > 1 for level in levels) or "#" in levels[:-1]
            if not one or wrong or "\0" in one or len(one.encode()) > 65535:
                raise ValueError(f"{one!r} is no topic filter. + and # stand for whole levels, # only at the end.")
        return topic

    @property
    def filters(self) -> tuple[str, ...]:
        return (self.topic,) if isinstance(self.topic, str) else self.topic

    @property
    def address(self) -> str:
        return f"{self.broker}:{','.join(self.filters)}"


class FileOptions(_Strict):
    """A watched folder. A file is read once it has stopped changing, and never twice."""

    type: Literal["file"]
    path: Path
    pattern: str = Field("*", description='names to read, "*.csv"')
    settle: Duration = Field(2.0, description="unchanged for so long: complete")
    after: Literal["keep", "delete", "move"] = Field("keep", description="what to do with a file that was read")
    move_to: Path | None = None
    max_bytes: int = Field(64 << 20, ge=1, description="a larger file is reported and left")

    @model_validator(mode="after")
    def _destination(self) -> FileOptions:
        if (self.after == "move") != (self.move_to is not None):
            raise ValueError('after = "move" and move_to go together. Write both or neither.')
        return self

    @property
    def address(self) -> str:
        return str(self.path / self.pattern)


LinkOptions = SerialOptions | TcpOptions | TcpListenOptions | MqttLinkOptions | FileOptions


class TlsOptions(_Strict):
    """TLS towards a broker."""

    ca: Path | None = Field(None, description="certificates to trust instead of the system's")
    cert: Path | None = Field(None, description="our certificate, where the broker wants one")
    key: Path | None = None


class BrokerOptions(_Strict):
    """One MQTT broker."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    host: str = Field(min_length=1)
    port: PortNumber | None = Field(None, description="1883, or 8883 with tls")
    username: str | None = None
    password: SecretRef | None = None
    client_id: str | None = Field(None, description='fixed: the broker keeps our session by it; "assaygate-SITE-ID"')
    protocol: Literal["5", "3.1.1"] = "5"
    tls: TlsOptions | None = None
    keepalive: int = Field(30, ge=5, le=65535, description="seconds")
    receive_maximum: int = Field(1000, ge=1, le=65535, description="messages on their way to the disk at once")
    sparkplug_host: str | None = Field(
        None,
        pattern=r"^[^+/#\x00-\x1f]{1,200}$",
        description="a Sparkplug host id: spBv1.0/STATE/ID says online while we are connected",
    )
    session_expiry: Duration = Field(7 * 86400.0, description="how long the broker keeps messages while we are away")

    @property
    def number(self) -> int:
        """The port to connect to."""
        return self.port or (8883 if self.tls else 1883)
