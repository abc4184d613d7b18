"""The configuration: TOML to checked models, and errors that name file, line, key and remedy."""

from __future__ import annotations

import difflib
import fnmatch
import tomllib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    TypeAdapter,
    ValidationError,
    create_model,
    field_validator,
)
from pydantic_core import ErrorDetails

import drivers
from drivers.kit.declare import Driver, Options
from drivers.kit.durations import Duration
from gateway.alarms.defaults import defaults
from gateway.alarms.options import AlarmOptions, SuppressionOptions
from gateway.calibration import Calibration
from gateway.links.listen import conflicts
from gateway.links.options import BrokerOptions, LinkOptions, TcpListenOptions
from gateway.normalise import DeviceSettings
from gateway.notify.options import AlarmTest, HeartbeatOptions, NotifierOptions
from gateway.people.options import PeopleOptions, read_people
from gateway.pulse import SIGNS
from gateway.qc.options import (
    SECTIONS,
    AverageOptions,
    ControlOptions,
    CriticalOptions,
    DeltaOptions,
    LockoutOptions,
    RunOptions,
)
from gateway.sinks.options import SinkOptions
from gateway.toml_lines import line_of, lines
from gateway.web.options import HttpOptions

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="lower-case letters, digits, - . _")]
Limit = Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)]
Location = tuple[str | int, ...]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GatewayOptions(Strict):
    """The daemon itself."""

    site: Id = Field("site", description="names this gateway in topics, tags and on the page")
    data_dir: Path = Field(Path("/var/lib/assaygate"), description="journal and state; a local disk")
    stall: Duration = Field(60.0, ge=5, description="a daemon that stands still for so long ends, to be started anew")
    watch: dict[str, Limit | Literal[False]] = Field(
        {}, description="limits of the alarms about the daemon itself, by name; false: no such alarm"
    )

    @field_validator("watch")
    @classmethod
    def _signs(cls, given: dict[str, float | Literal[False]]) -> dict[str, float | Literal[False]]:
        for name in given:
            if name not in SIGNS:
                raise ValueError(f"{name!r} is no sign of the daemon. {_suggest(name, SIGNS)}")
        return given


class JournalOptions(Strict):
    """How long the journal keeps what has been delivered everywhere. By default: for ever."""

    keep: Duration | None = Field(None, description='age past which entries are removed, "3650d"')
    keep_bytes: int | None = Field(None, ge=64 << 20, description="size past which the oldest entries are removed")


class Device(DeviceSettings, Options):
    """What every device has; its driver's options stand beside these in the same table."""

    id: Id
    driver: str
    variant: str | None = Field(None, description="a preset of the driver's options: see `assaygate drivers NAME`")
    link: LinkOptions = Field(discriminator="type")
    label: str = Field("", description="what people call it; the id where empty")
    room: str = Field("", description="where it stands; the page groups by it")
    silent: Duration | None = Field(None, description="alarm when nothing came for so long")
    calibration: Calibration | None = Field(None, description="the calibration in force: reports show it")


class Config(Strict):
    """A whole configuration, checked."""

    gateway: GatewayOptions = GatewayOptions()
    journal: JournalOptions = JournalOptions()
    http: HttpOptions = HttpOptions()
    people: PeopleOptions | None = None
    brokers: tuple[BrokerOptions, ...] = ()
    devices: tuple[Device, ...] = ()
    sinks: tuple[SinkOptions, ...] = ()
    alarms: tuple[AlarmOptions, ...] = ()
    suppressions: tuple[SuppressionOptions, ...] = ()
    notifiers: tuple[NotifierOptions, ...] = ()
    alarm_test: AlarmTest | None = None
    heartbeats: tuple[HeartbeatOptions, ...] = ()
    controls: tuple[ControlOptions, ...] = ()
    lockouts: tuple[LockoutOptions, ...] = ()
    delta_checks: tuple[DeltaOptions, ...] = ()
    critical_values: tuple[CriticalOptions, ...] = ()
    moving_averages: tuple[AverageOptions, ...] = ()
    run_checks: tuple[RunOptions, ...] = ()

    def broker(self, broker_id: str) -> BrokerOptions:
        return next(broker for broker in self.brokers if broker.id == broker_id)


class ConfigError(Exception):
    """The configuration cannot be used. One line a problem: `FILE:LINE: key.path: what is wrong. Remedy.`"""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class _Problems:
    """Collects what is wrong, with the line it is on."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._lines = lines(text)
        self.found: list[tuple[int, str]] = []

    def add(self, location: Location, message: str) -> None:
        line = line_of(self._lines, location)
        key = _dotted(location)
        self.found.append((line, f"{self._file}:{line}: {key + ': ' if key else ''}{message}"))

    def stop(self) -> None:
        if self.found:
            raise ConfigError([text for _, text in sorted(self.found)])


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if part.replace("-", "").replace("_", "").isalnum() else f'"{part}"')
    return text


@lru_cache(maxsize=256)
def device_model(name: str) -> type[Device]:
    """The model of a `[[devices]]` table: the common keys and this driver's. Errors: KeyError (no such driver)."""
    driver = drivers.load(name)
    bases = cast("tuple[type[Device], ...]", (Device, driver.options))
    return create_model(f"Device[{name}]", __base__=bases)


def load(path: Path) -> Config:
    """Read and check a configuration file. Errors: ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}:1: {error}. Give a readable UTF-8 TOML file."]) from error
    return parse(text, str(path))


def parse(text: str, file: str = "assaygate.toml") -> Config:
    """Check a configuration's text. Errors: ConfigError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_toml_error(file, text, error)]) from error
    problems = _Problems(file, text)
    tables = data.pop("devices", [])
    if not isinstance(tables, list):
        problems.add(("devices",), "is not a list of tables. Write [[devices]].")
        tables = []
    devices = [device for number, table in enumerate(tables) if (device := _device(number, table, problems))]
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        _explain(error, (), Config, problems)
        config = Config()
    problems.stop()
    config = config.model_copy(update={"devices": tuple(devices), "people": _found(config.people, file)})
    _cross_check(config, problems)
    problems.stop()
    return config


def _found(people: PeopleOptions | None, file: str) -> PeopleOptions | None:
    """With the file of people found from the folder of the configuration."""
    if people is None or people.file is None:
        return people
    return people.model_copy(update={"file": Path(file).parent / people.file})


def _toml_error(file: str, text: str, error: tomllib.TOMLDecodeError) -> str:
    what = str(error)
    line = text.count("\n") + 1
    if " (at line " in what:
        what, _, position = what.partition(" (at line ")
        line = int(position.split(",")[0])
    return f"{file}:{line}: not TOML: {what.lower()}. See https://toml.io for the syntax."


def _device(number: int, table: Any, problems: _Problems) -> Device | None:
    here: Location = ("devices", number)
    if not isinstance(table, dict):
        problems.add(here, "is not a table. Write [[devices]] and its keys below.")
        return None
    name = table.get("driver")
    if not isinstance(name, str):
        near = difflib.get_close_matches("driver", table, 1, 0.6)
        where = (*here, near[0]) if near else here
        what = "is not a key. Did you mean 'driver'? Known are" if near else "has no driver. Write driver = one of"
        problems.add(where, f"{what}: {', '.join(drivers.names())}.")
        return None
    try:
        driver = drivers.load(name)
        model = device_model(name)
    except KeyError:
        problems.add((*here, "driver"), f"no driver is called {name!r}. {_suggest(name, drivers.names())}")
        return None
    try:
        device = model.model_validate({**_preset(driver, table, here, problems), **table})
    except ValidationError as error:
        _explain(error, here, model, problems)
        return None
    if device.link.type not in driver.links:
        problems.add((*here, "link"), f"{name} is not met on {device.link.type}. Use {' or '.join(driver.links)}.")
    return device


def _preset(driver: Driver, table: dict[str, Any], here: Location, problems: _Problems) -> dict[str, Any]:
    variant = table.get("variant")
    if variant is None:
        return {}
    for known in driver.variants:
        if known.name == variant:
            return {**known.device, **known.options}
    names = [known.name for known in driver.variants]
    problems.add((*here, "variant"), f"{driver.name} has no variant {variant!r}. {_suggest(str(variant), names)}")
    return {}


def _cross_check(config: Config, problems: _Problems) -> None:
    """What one table cannot know: names used twice, names that lead nowhere, devices in each other's way."""
    for section in ("brokers", "devices", "sinks", "alarms", "suppressions", "notifiers", "heartbeats", *SECTIONS):
        seen: set[str] = set()
        for number, item in enumerate(getattr(config, section)):
            if item.id in seen:
                problems.add((section, number, "id"), f"{item.id!r} is used twice. Give each of the {section} its own.")
            seen.add(item.id)
    brokers = [broker.id for broker in config.brokers]
    for number, device in enumerate(config.devices):
        if device.link.type == "mqtt" and device.link.broker not in brokers:
            message = f"no broker is called {device.link.broker!r}. {_suggest(device.link.broker, brokers)}"
            problems.add(("devices", number, "link", "broker"), message)
    for number, sink in enumerate(config.sinks):
        if sink.type == "mqtt" and sink.broker not in brokers:
            problems.add(
                ("sinks", number, "broker"), f"no broker is called {sink.broker!r}. {_suggest(sink.broker, brokers)}"
            )
    _check_people(config, problems)
    _check_quality_control(config, problems)
    _check_alarms(config, problems)
    _check_notifiers(config, problems)
    listening = [(device.id, device.link) for device in config.devices if isinstance(device.link, TcpListenOptions)]
    for conflict in conflicts(listening):
        problems.add(("devices",), conflict)
    ports: dict[str, str] = {}
    for number, device in enumerate(config.devices):
        if device.link.type == "serial" and (other := ports.setdefault(device.link.port, device.id)) != device.id:
            problems.add(
                ("devices", number, "link", "port"),
                f"{device.link.port} already belongs to {other}. One serial port serves one device.",
            )


def _check_people(config: Config, problems: _Problems) -> None:
    """Whoever can reach the page is asked who they are, and cannot be overheard saying it."""
    http = config.http
    if config.people is None and not http.loopback and http.token is None:
        message = f'{http.listen} can be reached from outside and needs a token. Write token = {{ env = "PAGE_TOKEN" }}'
        problems.add(("http",), f'{message}, or listen = "127.0.0.1:8470".')
    if config.people is None or config.people.file is None:
        return
    try:
        read_people(config.people.file)
    except ValueError as error:
        problems.add(("people", "file"), str(error))
    if not http.loopback and http.tls_cert is None:
        message = "passwords would cross the network readable. Write tls_cert and tls_key in [http], or listen on"
        problems.add(("people", "file"), f"{message} 127.0.0.1 behind a proxy that speaks TLS.")


def _check_quality_control(config: Config, problems: _Problems) -> None:
    devices = [device.id for device in config.devices]
    for section in SECTIONS:
        for number, check in enumerate(getattr(config, section)):
            if not fnmatch.filter(devices, check.device):
                message = f"no device is called {check.device!r}. {_suggest(check.device, devices)}"
                problems.add((section, number, "device"), message)
    told: dict[tuple[str, str, str | None], str] = {}
    for number, control in enumerate(config.controls):
        first = told.setdefault((control.device, control.quantity, control.specimen), control.id)
        if first != control.id:
            message = f"{control.id} cannot be told from {first}. Give each the specimen ids it is measured under."
            problems.add(("controls", number), message)


def _check_notifiers(config: Config, problems: _Problems) -> None:
    """Whoever is to be told can be told."""
    named: list[tuple[Location, tuple[str, ...]]] = []
    if config.alarm_test:
        named.append((("alarm_test", "notify"), config.alarm_test.notify))
    for number, alarm in enumerate(config.alarms):
        named.append((("alarms", number, "notify"), alarm.notify))
        for place, step in enumerate(alarm.escalate):
            named.append((("alarms", number, "escalate", place, "notify"), step.notify))
    notifiers = [notifier.id for notifier in config.notifiers]
    for location, names in named:
        for name in names:
            if name not in notifiers:
                problems.add(location, f"no notifier is called {name!r}. {_suggest(name, notifiers)}")
    brokers = [broker.id for broker in config.brokers]
    for number, notifier in enumerate(config.notifiers):
        if notifier.type == "mqtt" and notifier.broker not in brokers:
            message = f"no broker is called {notifier.broker!r}. {_suggest(notifier.broker, brokers)}"
            problems.add(("notifiers", number, "broker"), message)


def _check_alarms(config: Config, problems: _Problems) -> None:
    """Alarms watch devices that there are."""
    devices = [device.id for device in config.devices]
    for number, alarm in enumerate(config.alarms):
        for key, name in alarm.when.devices():
            if name not in devices:
                message = f"no device is called {name!r}. {_suggest(name, devices)}"
                problems.add(("alarms", number, "when", key), message)
    alarms = [alarm.id for alarm in defaults(config)]
    for number, one in enumerate(config.suppressions):
        for key, name in one.when.devices() if one.when else ():
            if name not in devices:
                message = f"no device is called {name!r}. {_suggest(name, devices)}"
                problems.add(("suppressions", number, "when", key), message)
        for key, names in (("alarm", (one.alarm,) if one.alarm else ()), ("suppresses", one.suppresses)):
            for name in names:
                if not fnmatch.filter(alarms, name):
                    problems.add(
                        ("suppressions", number, key), f"no alarm is called {name!r}. {_suggest(name, alarms)}"
                    )


# ---- pydantic's errors in our words


_REMEDIES: Final = {
    "missing": "is required. Add it.",
    "bool_type": "is not true or false. Write true or false, without quotes.",
    "int_type": "is not a whole number. Write it without quotes.",
    "int_parsing": "is not a whole number. Write it without quotes.",
    "float_type": "is not a number. Write it without quotes.",
    "string_type": "is not a text. Write it in quotes.",
    "list_type": "is not a list. Write [ ... ].",
    "tuple_type": "is not a list. Write [ ... ].",
    "dict_type": "is not a table. Write { key = value }.",
    "model_type": "is not a table. Write { key = value }.",
}


def _explain(error: ValidationError, here: Location, model: type[BaseModel], problems: _Problems) -> None:
    for detail in error.errors(include_url=False):
        location = (*here, *_own_keys(detail["loc"]))
        problems.add(location, _message(detail, model))


def _own_keys(location: Iterable[str | int]) -> Location:
    """pydantic adds the tag of a union and the names of models to its locations; no key of the file is called so."""
    tags = {"serial", "tcp", "tcp-listen", "mqtt", "file", "opcua", "sila", "influxdb", "ndjson"}
    keys = list(location)
    return tuple(
        key
        for number, key in enumerate(keys)
        if not (isinstance(key, str) and (("[" in key) or (key in tags and number > 0)))
    )


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key. {_suggest(str(detail['loc'][-1]), _known_keys(model, detail['loc'][:-1]))}"
    if kind == "literal_error":
        return f"{detail['input']!r} is not one of the choices. Write {context['expected']}."
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return f"type is missing or unknown. Write type = {context.get('expected_tags') or 'one of the known types'}."
    if kind == "string_pattern_mismatch":
        return f"{detail['input']!r} does not fit. Use lower-case letters, digits, '-', '.' and '_'."
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    if kind in _REMEDIES:
        return _REMEDIES[kind]
    return f"{detail['msg'][0].lower()}{detail['msg'][1:]}, not {detail['input']!r}."


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys that could stand at `location` inside `model`, by walking its JSON schema."""
    schema = model.model_json_schema()
    at = [schema]
    for part in _own_keys(location):
        at = [deeper for node in at for deeper in _children(_resolved(node, schema), part, schema)]
    keys: list[str] = []
    for node in at:
        for option in _options(_resolved(node, schema), schema):
            keys += option.get("properties", {})
    return keys


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return node


def _options(node: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    choices = node.get("oneOf") or node.get("anyOf")
    return [_resolved(choice, schema) for choice in choices] if choices else [node]


def _children(node: dict[str, Any], part: str | int, schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for option in _options(node, schema):
        if isinstance(part, int):
            found += [option["items"]] if isinstance(option.get("items"), dict) else []
        elif part in option.get("properties", {}):
            found.append(option["properties"][part])
        elif isinstance(option.get("additionalProperties"), dict):
            found.append(option["additionalProperties"])
    return found


def _suggest(wrong: str, known: Iterable[str]) -> str:
    known = sorted(set(known))
    near = difflib.get_close_matches(wrong, known, 1, 0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known are: {', '.join(known)}." if known else "None is configured."


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration, with every known driver's options."""
    from drivers.kit import manual

    schema = Config.model_json_schema(ref_template="#/$defs/{model}")
    choices = []
    for name in drivers.names():
        one = TypeAdapter(device_model(name)).json_schema(ref_template="#/$defs/{model}")
        for key, text in manual.descriptions(drivers.load(name).options).items():
            one["properties"][key].setdefault("description", text)
        schema.setdefault("$defs", {}).update(one.pop("$defs", {}))
        schema["$defs"][f"device-{name}"] = one
        choices.append({"$ref": f"#/$defs/device-{name}"})
    schema["properties"]["devices"] = {"type": "array", "items": {"oneOf": choices}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "assaygate", **schema}
