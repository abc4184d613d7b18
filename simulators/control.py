"""Changing a bench while it runs: a line of words in, a line of JSON out, on a loopback port.

    status                    what each instrument has sent and had acknowledged, and the faults that happened
    faults                    the table of faults
    fault NAME=P [ID]         a fault's probability; 0 ends it
    event NAME [ID]           something happens to its model: door-open, new-lot, ...; or resend-run
    rate X [ID]               messages a second; 0: as fast as they are acknowledged
    pause [ID], resume [ID]   it falls silent, and goes on
    stop [ID]                 it ends

Without an ID it is all instruments. A word that is not understood is answered {"ok": false, "why": ...}.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from simulators import faults
from simulators.instrument import Instrument

MOST_LINE: Final = 4096  # bytes
WORDS: Final = {"status": 0, "faults": 0, "fault": 1, "event": 1, "rate": 1, "pause": 0, "resume": 0, "stop": 0}


class Control:
    """Obeys one line at a time."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments

    async def serve(self, port: int) -> asyncio.Server:
        """Listen on a loopback port (0: any free one). Errors: OSError."""
        return await asyncio.start_server(self._converse, "127.0.0.1", port, limit=MOST_LINE)

    def obey(self, line: str) -> dict[str, Any]:
        """What one line does, and its answer."""
        try:
            return {"ok": True, **self._do(line.split())}
        except (LookupError, ValueError) as error:
            return {"ok": False, "why": str(error)}

    def _do(self, words: list[str]) -> dict[str, Any]:
        name, *rest = words or [""]
        if name not in WORDS:
            raise LookupError(f"{name!r} is no command. Known are: {', '.join(WORDS)}.")
        wanted = WORDS[name]
        if not wanted <= len(rest) <= wanted + 1:
            raise LookupError(f"{name} takes {wanted} word(s) and may name an instrument.")
        meant = self._meant(rest[wanted:])
        if name == "status":
            return {"instruments": {key: status(one) for key, one in meant.items()}}
        if name == "faults":
            return {"faults": {key: one.text for key, one in faults.FAULTS.items()}}
        if name == "event":
            self._happen(rest[0], meant.values())
        else:
            _change(name, rest[0] if wanted else "", list(meant.values()))
        return {}

    def _happen(self, event: str, meant: Iterable[Instrument]) -> None:
        """At least one instrument must know it."""
        why, known = "", False
        for one in meant:
            try:
                one.happen(event)
                known = True
            except ValueError as error:
                why = str(error)
        if not known:
            raise ValueError(why)

    def _meant(self, named: list[str]) -> Mapping[str, Instrument]:
        if not named:
            return self._instruments
        if named[0] not in self._instruments:
            raise LookupError(f"no instrument is called {named[0]!r}. Known are: {', '.join(self._instruments)}.")
        return {named[0]: self._instruments[named[0]]}

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = self.obey(line.decode("utf-8", "replace"))
                writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (ValueError, ConnectionError):
            pass  # a line too long, or nobody there any more: hang up
        finally:
            writer.close()


def _change(name: str, word: str, meant: list[Instrument]) -> None:
    rates = faults.parse([word]) if name == "fault" else {}
    rate = float(word) if name == "rate" else 0.0
    if not 0 <= rate < float("inf"):
        raise ValueError(f"{word} is no rate. Write messages a second, or 0.")
    for one in meant:
        match name:
            case "fault":
                for fault, chance in rates.items():
                    one.faults.set(fault, chance)
            case "rate":
                one.rate = rate
            case "pause" | "resume":
                one.paused = name == "pause"
            case "stop":
                one.stop()


def status(instrument: Instrument) -> dict[str, Any]:
    """What one instrument is at."""
    return {
        "driver": instrument.plan.driver,
        "address": instrument.address,
        "rate": instrument.rate,
        "paused": instrument.paused,
        "sent": instrument.sent,
        "acknowledged": instrument.acknowledged,
        "waiting": instrument.source.waiting,
        "rates": dict(instrument.faults.rates),
        "struck": {name: count for name, count in instrument.faults.struck.items() if count},
        "command": instrument.plan.command(),
    }
