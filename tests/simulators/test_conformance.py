"""Every driver passes the kit."""

from __future__ import annotations

from dataclasses import replace

import pytest

import drivers
from drivers.kit.exchange import Received
from drivers.kit.lines import Lines
from gateway.units import is_ucum
from simulators.conformance import Tier, check

WAYS = [(name, variant.name) for name in drivers.built_in() for variant in drivers.load(name).variants]


@pytest.mark.parametrize(("name", "variant"), [*((name, "") for name in drivers.built_in()), *WAYS])
def test_a_driver_does_what_every_driver_must(name: str, variant: str) -> None:
    findings = check(drivers.load(name), variant=variant, folder=drivers.folder(name), unit_known=is_ucum)
    assert [finding for finding in findings if not finding.ok and finding.tier < Tier.PLATINUM] == []


def test_the_kit_finds_a_driver_that_loses_bytes() -> None:
    class Forgetful(Lines):
        def receive(self, data: bytes, now: float):  # type: ignore[no-untyped-def]
            for event in super().receive(data, now):
                yield replace(event, raw=event.raw[1:]) if isinstance(event, Received) else event

    driver = replace(drivers.load("lateral-flow"), host=lambda _options: Forgetful())
    failed = [finding.name for finding in check(driver) if not finding.ok]
    assert "no byte is lost at any cut" in failed
