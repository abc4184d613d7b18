"""Every driver passes the kit."""

from __future__ import annotations

from dataclasses import replace

import pytest

import drivers
from drivers.kit.exchange import Received
from drivers.kit.lines import Lines
from simulators.conformance import check

OPTIONS = {
    "lateral-flow": {"control_valid": 200.0},
    "mt-sics": {"poll": "1s"},
    "mqtt-json": {"time": "$.time"},
}


@pytest.mark.parametrize("name", sorted(drivers.BUILT_IN))
def test_a_driver_does_what_every_driver_must(name: str) -> None:
    driver = drivers.load(name)
    options = driver.options.model_validate(OPTIONS.get(name, {}))
    assert [finding for finding in check(driver, options) if not finding.ok] == []


def test_the_kit_finds_a_driver_that_loses_bytes() -> None:
    class Forgetful(Lines):
        def receive(self, data: bytes, now: float):  # type: ignore[no-untyped-def]
            for event in super().receive(data, now):
                yield replace(event, raw=event.raw[1:]) if isinstance(event, Received) else event

    driver = replace(drivers.load("lateral-flow"), host=lambda _options: Forgetful())
    failed = [finding.name for finding in check(driver) if not finding.ok]
    assert "no byte is lost at any cut" in failed
