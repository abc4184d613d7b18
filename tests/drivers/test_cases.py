"""Every committed recording decodes to what its instrument meant."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import drivers
from drivers.kit import recording
from drivers.kit.declare import Driver, Message
from drivers.kit.observation import Draft, Kind

FOLDERS = {name: Path(drivers.__file__).parent / name.replace("-", "_") for name in drivers.built_in()}
CASES = [(name, case) for name, folder in FOLDERS.items() for case in recording.cases(folder)]


def drafts(driver: Driver, options: Any, pieces: list[recording.Piece]) -> Iterator[Draft]:
    for message in recording.play(driver.host(options), pieces):
        assert isinstance(message, Message), message
        yield from driver.decode(message, options)


def plain(value: object) -> object:
    try:
        return value if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}-{case.name}" for name, case in CASES])
def test_a_recording_decodes_to_what_was_meant(name: str, case: recording.Case) -> None:
    driver = drivers.load(name)
    options = driver.options.model_validate(tomllib.loads(case.options.read_text()) if case.options else {})
    pieces = list(recording.read(case.wire.read_text(encoding="utf-8")))
    made = [one for one in drafts(driver, options, pieces) if one.kind not in (Kind.EVENT, Kind.STATUS)]
    for line in case.expected.read_text(encoding="utf-8").splitlines():
        meant = json.loads(line)
        fits = [
            one
            for one in made
            if (one.test == meant.get("test") or one.quantity == meant.get("quantity"))
            and one.specimen == meant.get("specimen")
            and ("value" not in meant or plain(one.value) == plain(meant["value"]))
        ]
        assert fits, meant
        found = fits[0]
        assert found.kind == meant["kind"]
        for field in ("patient", "operator", "lot", "lot_expiry", "run"):
            assert meant.get(field) is None or getattr(found, field) == meant[field]
        assert list(found.flags) == meant.get("flags", [])


def test_every_driver_has_cases() -> None:
    assert {name for name, _ in CASES} == set(drivers.built_in())


@pytest.mark.parametrize("data", [b"", b"\x00\xff\\x41\r\n", "é漢".encode(), bytes(range(256))])
def test_a_recording_loses_no_byte(data: bytes) -> None:
    pieces = [recording.Piece(0.25, True, data, "lab/a topic"), recording.Piece(1.0, False, b"\x06")]
    assert list(recording.read(recording.write(pieces, "astm", "a note"))) == pieces
