"""Every committed recording decodes to what its instrument meant."""

from __future__ import annotations

import pytest

import drivers
from drivers.kit import recording
from simulators.cases import case_differs

CASES = [(name, case) for name in drivers.built_in() for case in recording.cases(drivers.folder(name))]


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}-{case.name}" for name, case in CASES])
def test_a_recording_decodes_to_what_was_meant(name: str, case: recording.Case) -> None:
    assert case_differs(drivers.load(name), case) == ""


def test_every_driver_has_cases() -> None:
    assert {name for name, _ in CASES} == set(drivers.built_in())


@pytest.mark.parametrize("data", [b"", b"\x00\xff\\x41\r\n", "é漢".encode(), bytes(range(256))])
def test_a_recording_loses_no_byte(data: bytes) -> None:
    pieces = [recording.Piece(0.25, True, data, "lab/a topic"), recording.Piece(1.0, False, b"\x06")]
    assert list(recording.read(recording.write(pieces, "astm", "a note"))) == pieces
