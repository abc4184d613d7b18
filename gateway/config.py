"""The configuration: TOML to checked models, and errors that name file, line, key and remedy."""

from __future__ import annotations

import difflib
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, cast

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

import drivers
from drivers.kit.declare import Driver, Options
from drivers.kit.durations import Duration
from gateway.alarms.options import AlarmOptions, SuppressionOptions
from gateway.calibration import Calibration
from gateway.config_errors import ConfigError, Location, Problems, explain, suggest, toml_error
from gateway.crosscheck import cross_check
from gateway.links.options import BrokerOptions, LinkOptions
from gateway.normalise import DeviceSettings
from gateway.notify.options import AlarmTest, HeartbeatOptions, NotifierOptions
from gateway.people.options import PeopleOptions
from gateway.pulse import SIGNS
from gateway.qc.options import (
    AverageOptions,
    ControlOptions,
    CriticalOptions,
    DeltaOptions,
    LockoutOptions,
    RunOptions,
)
from gateway.sinks.options import SinkOptions
from gateway.web.options import HttpOptions

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="lower-case letters, digits, - . _")]
Limit = Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)]


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
                raise ValueError(f"{name!r} is no sign of the daemon. {suggest(name, SIGNS)}")
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
        raise ConfigError([toml_error(file, text, error)]) from error
    problems = Problems(file, text)
    tables = data.pop("devices", [])
    if not isinstance(tables, list):
        problems.add(("devices",), "is not a list of tables. Write [[devices]].")
        tables = []
    devices = [device for number, table in enumerate(tables) if (device := _device(number, table, problems))]
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        explain(error, (), Config, problems)
        config = Config()
    problems.stop()
    config = config.model_copy(update={"devices": tuple(devices), "people": _found(config.people, file)})
    cross_check(config, problems)
    problems.stop()
    return config


def _found(people: PeopleOptions | None, file: str) -> PeopleOptions | None:
    """With the file of people found from the folder of the configuration."""
    if people is None or people.file is None:
        return people
    return people.model_copy(update={"file": Path(file).parent / people.file})


def _device(number: int, table: Any, problems: Problems) -> Device | None:
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
        problems.add((*here, "driver"), f"no driver is called {name!r}. {suggest(name, drivers.names())}")
        return None
    try:
        device = model.model_validate({**_preset(driver, table, here, problems), **table})
    except ValidationError as error:
        explain(error, here, model, problems)
        return None
    if device.link.type not in driver.links:
        problems.add((*here, "link"), f"{name} is not met on {device.link.type}. Use {' or '.join(driver.links)}.")
    return device


def _preset(driver: Driver, table: dict[str, Any], here: Location, problems: Problems) -> dict[str, Any]:
    variant = table.get("variant")
    if variant is None:
        return {}
    for known in driver.variants:
        if known.name == variant:
            return {**known.device, **known.options}
    names = [known.name for known in driver.variants]
    problems.add((*here, "variant"), f"{driver.name} has no variant {variant!r}. {suggest(str(variant), names)}")
    return {}


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
