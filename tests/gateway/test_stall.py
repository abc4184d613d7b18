"""Who stands still, and who only was not let go on: time as the watcher sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway import stall


class GaveUpError(Exception):
    """It gave up."""


class Watched(stall.Watcher):
    def _give_up(self, still: float) -> None:
        raise GaveUpError(still)


def looks(monkeypatch: pytest.MonkeyPatch, folder: Path, times: list[float], beats: list[float]) -> bool:
    """Look at these times, each with what the pulse says then; whether it gives up at a limit of 5 s."""
    clock, pulse = iter(times), iter(beats)
    watcher = Watched(lambda: next(pulse), 5.0, folder)
    turns: Iterator[bool] = iter([False] * (len(times) - 1) + [True])
    monkeypatch.setattr(stall, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(watcher._ended, "wait", lambda _seconds: next(turns))
    try:
        watcher.run()
    except GaveUpError:
        return True
    return False


def test_a_loop_that_does_not_beat_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert looks(monkeypatch, tmp_path, [float(n) for n in range(8)], [0.0] * 8)
    assert not looks(monkeypatch, tmp_path, [float(n) for n in range(5)], [0.0] * 5)


def test_a_beat_begins_the_count_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not looks(monkeypatch, tmp_path, [float(n) for n in range(9)], [0, 0, 0, 0, 1, 1, 1, 1, 1])


def test_a_process_that_was_stopped_has_not_stood_still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It looks once, an hour later: what passed meanwhile nobody saw."""
    assert not looks(monkeypatch, tmp_path, [0, 1, 3601, 3602], [0, 0, 0, 1])
