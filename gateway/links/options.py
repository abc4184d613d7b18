"""What `link = {...}` and `[[brokers]]` tables may say."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

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


class OpcUaOptions(_Strict):
    """Variables of an OPC UA server, subscribed. Needs `pip install 'assaygate[opcua]'`."""

    type: Literal["opcua"]
    url: str = Field(pattern=r"^opc\.tcp://[^@\s]+$", description='"opc.tcp://10.20.0.30:4840"')
    security: Literal["none", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = "none"
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    certificate: Path | None = Field(None, description="ours; the server must trust it")
    key: Path | None = None
    server_certificate: Path | None = Field(None, description="the server's: no other is spoken to")
    username: str | None = None
    password: SecretRef | None = Field(None, description='with security "none" it may cross the wire as it is')
    interval: Duration = Field(1.0, gt=0, description="between two publications of the server")
    queue: int = Field(20, ge=2, le=10_000, description="changes of a variable the server keeps between publications")

    @field_validator("url")
    @classmethod
    def _where(cls, url: str) -> str:
        try:
            if urlsplit(url).hostname and (urlsplit(url).port or 4840):
                return url
        except ValueError:
            pass
        raise ValueError(f'{url!r} is no address. Write "opc.tcp://HOST:PORT".')

    @model_validator(mode="after")
    def _whole(self) -> OpcUaOptions:
        certificates = (self.certificate, self.key, self.server_certificate)
        if (self.security != "none") != all(certificates) or (self.security == "none" and any(certificates)):
            raise ValueError("security, certificate, key and server_certificate go together. Write all or none.")
        if self.password is not None and self.username is None:
            raise ValueError("a password without a username. Write username as well.")
        return self

    @property
    def address(self) -> str:
        return self.url

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        url = urlsplit(self.url)
        return url.hostname or "", url.port or 4840


class SilaOptions(_Strict):
    """Properties of a SiLA 2 server, subscribed. Needs `pip install 'assaygate[sila]'`."""

    type: Literal["sila"]
    host: str = Field(min_length=1)
    port: PortNumber
    insecure: bool = Field(False, description="without TLS: nobody proves who answers")
    root_certificate: Path | None = Field(None, description="trusted instead of the system's: a server's own, say")
    server_name: str | None = Field(None, description='the name in its certificate where that is not host: "SiLA2"')

    @model_validator(mode="after")
    def _one_way(self) -> SilaOptions:
        if self.insecure and (self.root_certificate or self.server_name):
            raise ValueError("insecure means no certificates. Write insecure or root_certificate.")
        return self

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


LinkOptions = SerialOptions | TcpOptions | TcpListenOptions | MqttLinkOptions | FileOptions | OpcUaOptions | SilaOptions


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
    receive_maximum: int = Field(1000, ge=1, le=2_000, description="messages on their way to the disk at once")
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
