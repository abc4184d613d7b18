"""The endpoints of the HTTP API in one table, and the OpenAPI document made from it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from gateway.alarms.view import AlarmView
from gateway.observation import Observation
from gateway.qc.actions import Decision
from gateway.qc.view import ControlView
from gateway.sinks.state import SinkState
from gateway.views import DeviceView


class Person(BaseModel):
    """Who does it."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field(min_length=1, max_length=100)


class Acknowledge(Person):
    comment: str = Field("", max_length=1000)


class Shelve(Person):
    minutes: float = Field(gt=0, le=7 * 24 * 60)
    reason: str = Field(min_length=1, max_length=1000)


class Mute(Person):
    minutes: float = Field(15, gt=0, le=24 * 60)


class Reason(Person):
    reason: str = Field(min_length=1, max_length=1000)


class Maintain(Reason):
    minutes: float = Field(gt=0, le=24 * 60)


class Reasoned(Person):
    why: str = Field(min_length=1, max_length=1000)


class Release(Reasoned):
    seqs: list[Annotated[int, Field(ge=1, lt=2**62)]] = Field(min_length=1, max_length=1000)


class Review(Reasoned):
    decision: Decision


class Action(Reasoned):
    device: str | None = Field(None, description="of this device only")


class ReadBack(Person):
    to: str = Field(min_length=1, max_length=100, description="who was told")
    at: AwareDatetime | None = Field(None, description="when; now where not given")
    read_back: bool = Field(description="without it the value stays listed")
    why: str = Field("", max_length=1000)


@dataclass(frozen=True)
class Endpoint:
    """One row of the API."""

    path: str
    method: str
    summary: str
    parameters: tuple[str, ...] = ()
    body: type[BaseModel] | None = None
    items: str = ""  # what a list answers: the name of a schema


ENDPOINTS: Final = (
    Endpoint("/healthz", "GET", "Alive"),
    Endpoint("/readyz", "GET", "Every part working; 503 with the parts that are not"),
    Endpoint("/metrics", "GET", "Prometheus metrics"),
    Endpoint("/api/v1/person", "GET", "Who is signed in, how, and what role that is"),
    Endpoint("/api/v1/sign-out", "POST", "End the session this is asked in"),
    Endpoint("/api/v1/devices", "GET", "Devices and the state of their links", items="Device"),
    Endpoint(
        "/api/v1/observations", "GET", "Observations, newest last; `next` is the `after` to go on with",
        ("device", "quantity", "kind", "specimen", "since", "until", "after", "limit"), items="Observation",
    ),
    Endpoint("/api/v1/series", "GET", "Numbers of one quantity in buckets: [time, min, mean, max, count]",
             ("device", "quantity", "since", "until", "points")),
    Endpoint("/api/v1/alarms", "GET", "Alarms that are not normal, gravest first", items="Alarm"),
    Endpoint("/api/v1/alarms/{id}/acknowledge", "POST", "A person has seen it", (), Acknowledge),
    Endpoint("/api/v1/alarms/{id}/shelve", "POST", "Put it aside for a time", (), Shelve),
    Endpoint("/api/v1/alarms/{id}/unshelve", "POST", "Bring it back", (), Person),
    Endpoint("/api/v1/alarms/{id}/reset", "POST", "Let go one that latches", (), Acknowledge),
    Endpoint("/api/v1/alarms/{id}/out-of-service", "POST", "Take it out of service", (), Reason),
    Endpoint("/api/v1/alarms/{id}/in-service", "POST", "Take it back into service", (), Person),
    Endpoint("/api/v1/alarms/{id}/explain", "GET", "Why it is as it is: rule, transitions, readings around"),
    Endpoint("/api/v1/alarms/history", "GET", "The newest transitions, oldest first: who, when, why",
             ("since", "until", "alarm", "limit")),
    Endpoint("/api/v1/alarms/statistics", "GET", "Rates, floods, chattering, the ten worst (EEMUA 191)",
             ("since", "until")),
    Endpoint("/api/v1/devices/{id}/maintenance", "POST", "Its alarms are not raised for a time", (), Maintain),
    Endpoint("/api/v1/devices/{id}/maintenance/end", "POST", "The work on it is done", (), Person),
    Endpoint("/api/v1/qc", "GET", "Controls: how each stands, its statistics", items="Control"),
    Endpoint("/api/v1/qc/{id}", "GET", "A control's measurements with their verdicts, oldest first",
             ("device", "since", "until")),
    Endpoint("/api/v1/qc/{id}/chart.svg", "GET", "Its Levey-Jennings chart", ("device", "since", "until")),
    Endpoint("/api/v1/qc/{id}/action", "POST", "A corrective action: the rules count anew", (), Action),
    Endpoint("/api/v1/lots", "GET", "Kit lots of a quantity's results beside each other",
             ("quantity", "device", "since")),
    Endpoint("/api/v1/held", "GET", "Results that wait for their release, and why; `total` of them"),
    Endpoint("/api/v1/held/release", "POST", "Make held results final", (), Release),
    Endpoint("/api/v1/critical", "GET", "Critical values nobody has been told of"),
    Endpoint("/api/v1/observations/{id}/review", "POST", "Accept, reject, rerun or comment a control", (), Review),
    Endpoint("/api/v1/observations/{id}/read-back", "POST", "Somebody was told a critical value", (), ReadBack),
    Endpoint("/api/v1/reports/{id}", "GET", "A device over a period: excursions, gaps, alarms; html, csv, pdf or json",
             ("quantity", "since", "until", "low", "high", "timezone", "gap", "format", "unstamped")),
    Endpoint("/api/v1/notifiers", "GET", "Who is told, what fails, and the weekly test; never an address"),
    Endpoint("/api/v1/notifiers/{id}/test", "POST", "Send one message, marked as a test; 502 and why", (), Person),
    Endpoint("/api/v1/notifiers/{id}/mute", "POST", "Silence a sounder for a time, or until a new alarm", (), Mute),
    Endpoint("/api/v1/stream", "GET", "Server-sent events: every observation, from Last-Event-ID (a seq) on"),
    Endpoint("/api/v1/live", "GET", "WebSocket: a snapshot, then changes by seq"),
    Endpoint("/api/v1/raw/{id}", "GET", "The bytes of one message and what was made of them"),
    Endpoint("/api/v1/quarantine", "GET", "What could not be read, and why; newest first", ("limit",)),
    Endpoint("/api/v1/quarantine/{id}/retry", "POST", "Read it again with today's configuration"),
    Endpoint("/api/v1/sinks", "GET", "Where observations are delivered, and what is owed", items="Sink"),
    Endpoint("/api/openapi.json", "GET", "This document"),
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for one in ENDPOINTS:
        path_names = ["id"] if "{id}" in one.path else []
        operation: dict[str, Any] = {
            "summary": one.summary,
            "parameters": [
                *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in path_names),
                *({"name": n, "in": "query", "schema": {"type": "string"}} for n in one.parameters),
            ],
            "responses": {"200": _answered(one), "default": {"description": "error, remedy"}},
        }
        if one.body:
            schema = one.body.model_json_schema()
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        paths.setdefault(one.path, {})[one.method.lower()] = operation
    info = {"title": "assaygate", "version": metadata.version("assaygate")}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": _schemas()}}


def _answered(one: Endpoint) -> dict[str, Any]:
    if not one.items:
        return {"description": "As the summary says"}
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{one.items}"}}
    told = {"items": items} | ({"next": {"type": "integer"}} if one.items == "Observation" else {})
    schema = {"type": "object", "properties": told, "required": list(told)}
    return {"description": "As the summary says", "content": {"application/json": {"schema": schema}}}


def _schemas() -> dict[str, Any]:
    """From the types themselves, so that the document cannot differ from the answers."""
    made: dict[str, Any] = {}
    for name, shape in (
        ("Observation", Observation),
        ("Device", DeviceView),
        ("Alarm", AlarmView),
        ("Control", ControlView),
        ("Sink", SinkState),
    ):
        schema = TypeAdapter(shape).json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        made |= schema.pop("$defs", {})
        made[name] = schema
    made["Observation"]["properties"] = {"seq": {"type": "integer"}, **made["Observation"]["properties"]}
    return made
