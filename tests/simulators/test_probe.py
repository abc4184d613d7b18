"""What is found out about a protocol by trying it, against what is known of it."""

from __future__ import annotations

import pytest

import drivers
from simulators.faults import Guard, Medium, possible
from simulators.probe import carried, guards, media, plugged

CHECKED, IDENTIFIED, MATCHED = Guard.CHECKED, Guard.IDENTIFIED, Guard.MATCHED


@pytest.mark.parametrize(
    ("name", "variant", "held"),
    [
        ("astm", "", {CHECKED, IDENTIFIED, MATCHED}),  # check sum, and a late ACK is waited out
        ("lateral-flow", "", {IDENTIFIED, MATCHED}),  # a printed line: nothing shows that a digit turned
        ("lateral-flow", "framed", {CHECKED, IDENTIFIED}),  # a check sum, but its ACK does not say of what
        ("genexpert", "", {CHECKED, IDENTIFIED, MATCHED}),
        ("hl7", "", {IDENTIFIED, MATCHED}),  # an acknowledgement names its message (MSA-2); nothing checks a line
        ("poct1a", "", {IDENTIFIED, MATCHED}),
        ("modbus", "watlow-ez-zone", {CHECKED, MATCHED}),  # CRC-16; a register has no time
        ("mt-sics", "polled", {MATCHED}),  # no check, no time, no number; nobody acknowledges
    ],
)
def test_what_a_protocol_has_against_faults(name: str, variant: str, held: set[Guard]) -> None:
    driver = drivers.load(name)
    assert guards(driver, plugged(driver.trial(variant), "pty")) == held


def test_what_cannot_be_noticed_is_not_asked_of_a_protocol() -> None:
    assert "corrupt" in possible(Medium.LINE, {CHECKED})
    assert not {"corrupt", "duplicate", "late-ack"} & set(possible(Medium.LINE, ()))
    assert {"split", "no-ack", "unplug", "clock-jump"} <= set(possible(Medium.LINE, ()))
    assert not {"corrupt", "drop", "unplug"} & set(possible(Medium.STREAM))


def test_a_ledger_means_what_the_instrument_can_say() -> None:
    astm, balance = drivers.load("astm"), drivers.load("mt-sics")
    assert {"specimen", "patient", "operator"} <= carried(astm, astm.trial()).fields
    assert "lot" not in carried(astm, astm.trial()).fields
    assert "lot" in carried(astm, astm.trial("", {"lot": ["R14"]})).fields
    assert carried(balance, balance.trial("polled")).quantities == frozenset(
        {"mass", "model", "software", "serial-number"}
    )


def test_every_driver_is_met_on_something() -> None:
    for name in drivers.names():
        assert media(drivers.load(name)), name
