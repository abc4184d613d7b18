"""What a `[[devices]]` table may say about a POCT1-A device."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drivers.kit.declare import Options
from drivers.kit.durations import Duration
from drivers.kit.results import Encoding

Place = Annotated[str, Field(pattern=r"^[A-Z]{2,8}\.[A-Za-z0-9_.-]{1,60}$")]
ElementName = Annotated[str, Field(pattern=r"^ACK\.[a-z_]{1,40}$")]


class Poct1aOptions(Options):
    """The defaults fit the standard's basic profile. Places are elements: "ORD.order_id"."""

    framing: Literal["auto", "root", "mllp"] = "auto"
    """Where a message ends: at its root's end tag, or at MLLP's bytes. "auto": the first byte of a connection tells."""
    encoding: Encoding | None = None
    """Character set. Undeclared: what the message says, else UTF-8, else ISO 8859-1 with results marked uncertain."""
    ask: Literal["topic", "each", "never"] = "topic"
    """Request all new results at once, one after the other, or never: some devices only send them by themselves."""
    continuous: Literal["listed", "always", "never"] = "listed"
    """Start continuous mode where the device lists that directive, always, or never. Without it the conversation is
    ended, and the device connects again when it has something."""
    events: bool = True
    """Request the device's events where it says it has new ones."""
    set_time: bool = False
    """Set the device's clock, where it lists that directive, to ours in the device's `timezone`."""
    acknowledge_topic_end: bool = False
    """Answer the device's end of topic with an acknowledgement."""
    acknowledged_in: Annotated[tuple[ElementName, ...], Field(min_length=1, max_length=4)] = ("ACK.ack_control_id",)
    """The elements of our acknowledgement that name the message it is for."""
    timeout: Duration | None = None
    """How long to wait for an answer. Undeclared: what the device announces, else a minute."""
    recognise: bool = True
    """Take a known dialect's presets where the device names itself in its hello; options given here go first."""
    specimen: tuple[Place, ...] = ("SPC.specimen_id", "ORD.order_id")
    """Where the specimen or accession number stands: the first that says something."""
    patient: tuple[Place, ...] = ("PT.patient_id",)
    no_patient: tuple[str, ...] = ("UNKNOWN",)
    """What stands for no patient."""
    operator: tuple[Place, ...] = ("OPR.operator_id",)
    supervised: bool = False
    """The supervisor who let the operator go on stands behind the operator and a `^`."""
    utc_offset: Literal["read", "ignore"] = "read"
    """"ignore": the offset behind the device's times is not its clock's; they are local times of its `timezone`."""
    demographics: bool = False
    """Keep the patient's name, birth date, sex and the like in the observations' attributes."""
    max_document: int = Field(4 * 1024 * 1024, ge=1000, le=64 * 1024 * 1024)
    """Bytes of one message."""
