"""What is not configured is not imported: forty drivers more cost a start nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import drivers

CONFIG = """
[[devices]]
id = "a"
driver = "{driver}"
link = {link}
"""
HEAVY = {
    "allotropy",
    "pandas",
    "numpy",
    "asyncua",
    "sila2",
    "grpc",
    "pymodbus",
    "openpyxl",
    "pyarrow",
    "apprise",
    "amqtt",
}


def imported(code: str) -> set[str]:
    """The modules a fresh interpreter has after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return set(json.loads(done.stdout))


def families(modules: set[str]) -> set[str]:
    return {name.split(".")[1] for name in modules if name.startswith("drivers.")} - {"kit"}


def test_the_gateway_imports_no_driver_and_no_simulator() -> None:
    modules = imported("import gateway.app, gateway.cli, gateway.demo, gateway.web.server, gateway.sinks")
    assert families(modules) == set()
    assert not [name for name in modules if name.startswith("simulators")]
    assert not HEAVY & modules


def test_knowing_every_name_imports_none() -> None:
    modules = imported("import drivers; assert len(drivers.names()) > 5")
    assert families(modules) == set()


@pytest.mark.parametrize(
    ("driver", "link"),
    [("astm", '{ type = "tcp-listen", port = 5001 }'), ("mt-sics", '{ type = "serial", port = "/dev/ttyS9" }')],
)
def test_a_configuration_imports_its_own_drivers_alone(tmp_path: Path, driver: str, link: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(CONFIG.format(driver=driver, link=link))
    modules = imported(f"from pathlib import Path; from gateway.config import load; load(Path({str(path)!r}))")
    assert families(modules) == {driver.replace("-", "_")}
    assert not HEAVY & modules


def test_no_driver_imports_what_only_decoding_needs() -> None:
    """Optional libraries are imported by the first message that needs them."""
    code = "import drivers\nfor name in drivers.names():\n    drivers.load(name)"
    modules = imported(code)
    assert families(modules) >= {name.replace("-", "_") for name in drivers.built_in()}
    assert not HEAVY & modules
