"""The configuration: good files load, a bad one is refused with exactly the message in its first line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import drivers
from gateway.config import device_model, json_schema, load
from gateway.config_errors import ConfigError
from gateway.normalise import DeviceSettings

CONFIGS = Path(__file__).parent.parent / "configs"
SHIPPED = Path(__file__).parent.parent.parent / "configs"


@pytest.mark.parametrize("path", sorted([*CONFIGS.glob("good/*.toml"), *SHIPPED.glob("*.toml")]), ids=lambda p: p.stem)
def test_a_good_file_loads(path: Path) -> None:
    assert load(path).devices


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("bad/*.toml")), ids=lambda p: p.stem)
def test_a_bad_file_is_refused_in_one_line_with_its_remedy(path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(path)
    expected = path.read_text().splitlines()[0].removeprefix("# ").replace("FILE", str(path))
    assert refused.value.problems == [expected]


def test_a_variant_presets_options_and_the_table_overrules_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        '[[devices]]\nid = "a"\ndriver = "astm"\nvariant = "euroimmun"\nlink = { type = "tcp-listen", port = 5001 }\n'
    )
    preset = load(path).devices[0]
    path.write_text(path.read_text() + 'specimen = ["O4"]\n')
    assert load(path).devices[0].specimen != preset.specimen  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", drivers.names())
def test_no_driver_option_hides_a_key_of_every_device(name: str) -> None:
    own = set(drivers.load(name).options.model_fields)
    assert not own & (set(DeviceSettings.model_fields) | {"id", "driver", "link", "label", "room", "silent", "variant"})
    assert device_model(name)


def test_the_schema_is_fresh() -> None:
    written = json.loads((SHIPPED / "assaygate.schema.json").read_text())
    assert written == json_schema(), "make schema"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "configs").glob("*.toml")), ids=lambda path: path.stem
)
def test_an_example_loads(path: Path) -> None:
    assert load(path).devices
