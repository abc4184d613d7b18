"""What the commands tap, capture and replay do with wire traffic."""

from __future__ import annotations

import asyncio
import json
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import drivers
from drivers.kit import recording
from drivers.kit.declare import Driver
from drivers.kit.exchange import Rejected
from drivers.kit.masking import Mask
from gateway import control
from gateway.decode import Failure, Reading, read
from gateway.journal.schema import BROKEN, LAST
from gateway.journal.transaction import RawMessage
from gateway.normalise import DeviceSettings, Normaliser
from gateway.wire_text import dump, judgements, readable

Echo = Callable[[str], None]
ANSWER_WITHIN = 20.0  # seconds
MOST_HELD = 200_000  # pieces in memory until they are masked


async def watch(data_dir: Path, device: str, echo: Echo, *, as_json: bool) -> None:
    """Print a device's live traffic until interrupted. Errors: ConnectionError, LookupError."""
    async for piece in control.tap(data_dir, device):
        if as_json:
            echo(json.dumps(piece))
            continue
        if "hex" not in piece:
            echo(f"listening to {device}; connected: {', '.join(piece['peers']) or 'nobody yet'}")
            continue
        data = bytes.fromhex(piece["hex"])
        mark = "<" if piece["direction"] == "in" else ">"
        if piece["missed"]:
            echo(f"({piece['missed']} pieces missed: this terminal is slow)")
        echo(f"{datetime.fromtimestamp(piece['at'], UTC):%H:%M:%S.%f} {mark} {piece['peer']}  {readable(data)}")
        for text in dump(data):
            echo(f"    {text}")
        for judgement in judgements(data):
            echo(f"    !! {judgement}")


async def record(
    data_dir: Path, device: str, driver: str, output: Path, seconds: float | None, mask: Mask | None, echo: Echo
) -> None:
    """Write a device's traffic to a recording, for so long or until interrupted; at the end say how many pieces.

    What is masked is written at the end.
    """
    count, started, held = 0, None, list[recording.Piece]()
    with output.open("w", encoding="utf-8") as file:
        file.write(recording.write((), driver, f"device {device}"))
        try:
            async with asyncio.timeout(seconds):
                async for piece in control.tap(data_dir, device):
                    if "hex" not in piece:
                        continue
                    started = started if started is not None else piece["at"]
                    channel = piece["peer"] if "/" in piece["peer"] and not piece["peer"].startswith("/dev") else ""
                    incoming = piece["direction"] == "in"
                    data = bytes.fromhex(piece["hex"])
                    count += 1
                    one = recording.Piece(piece["at"] - started, incoming, data, channel)
                    if mask is not None and len(held) < MOST_HELD:
                        held.append(one)
                        continue
                    if mask is not None:
                        break
                    file.write(recording.line(one))
                    file.flush()
        except TimeoutError:
            pass
        finally:
            if mask is not None:
                file.writelines(recording.line(one) for one in mask.pieces(held))
            echo(f"{count} pieces of traffic in {output}")


async def between(
    instrument: str, host: str, output: Path, seconds: float | None, mask: Mask | None, echo: Echo
) -> None:
    """Stand between an instrument and its present host, hand everything on unchanged, and record it both ways.

    Errors: LookupError, OSError.
    """
    from simulators.plan import Plan
    from simulators.recorder import Tape
    from simulators.run import relay

    tape = Tape(output, note=f"between {instrument} and {host}", mask=mask)
    try:
        await relay(Plan("", host, seconds=seconds), instrument, echo, tape)
    finally:
        tape.close()
        echo(f"{tape.pieces} pieces of traffic in {output}" + (", names and identifiers masked" if mask else ""))


def decode_recording(path: Path, driver_name: str, variant: str, words: Sequence[str]) -> Iterator[str]:
    """JSON lines of what a recording says, through the driver and the normaliser. Errors: LookupError, ValueError."""
    driver, options, settings = _driver(driver_name, variant, words)
    pieces = recording.read(path.read_text(encoding="utf-8"))
    normaliser = Normaliser(driver_name, settings, driver.observed(options), driver.identity(options))
    for number, heard in enumerate(recording.play(driver.host(options), pieces), 1):
        if isinstance(heard, Rejected):
            yield json.dumps({"refused": str(heard.reason), "detail": heard.detail, "bytes": readable(heard.raw)})
            continue
        state, topic = LAST if heard.sound else BROKEN, "/" in heard.channel
        message = RawMessage(number, driver_name, heard.channel, time.time_ns(), heard.data, state, False, topic)
        rows = read(message, Reading(driver, options, normaliser))
        if isinstance(rows, Failure):
            yield json.dumps({"quarantine": str(rows.reason), "detail": rows.detail})
        else:
            yield from (row.body.decode() for row in rows)


async def send_recording(path: Path, address: str, echo: Echo) -> None:
    """Play the instrument's side of a recording to HOST:PORT, waiting for an answer wherever one was recorded."""
    host, _, port = address.rpartition(":")
    pieces = list(recording.read(await asyncio.to_thread(path.read_text, encoding="utf-8")))
    reader, writer = await asyncio.open_connection(host or "127.0.0.1", int(port))
    try:
        for piece in pieces:
            if piece.incoming:
                writer.write(piece.data)
                await writer.drain()
                echo(f"< {readable(piece.data)}")
            else:
                async with asyncio.timeout(ANSWER_WITHIN):
                    echo(f"> {readable(await reader.read(65536))}")
    finally:
        writer.close()


def _driver(name: str, variant: str, words: Sequence[str]) -> tuple[Driver, Any, DeviceSettings]:
    """The driver, its options, and how its values are read: what is no option of the driver is a device's key."""
    try:
        driver = drivers.load(name)
    except KeyError:
        raise LookupError(f"no driver is called {name!r}. Known are: {', '.join(drivers.names())}.") from None
    given = options_from(words)
    settings = {key: value for key, value in given.items() if key in DeviceSettings.model_fields}
    usual = dict(driver.preset(variant).device) if variant else {}
    options = driver.trial(variant, {key: value for key, value in given.items() if key not in settings})
    return driver, options, DeviceSettings.model_validate({**usual, **settings})


def options_from(words: Iterable[str]) -> dict[str, Any]:
    """ "poll='1s'" for each option, as TOML; what is not TOML is taken as a text."""
    options: dict[str, Any] = {}
    for word in words:
        try:
            options |= tomllib.loads(word)
        except tomllib.TOMLDecodeError:
            name, _, value = word.partition("=")
            options[name.strip()] = value.strip()
    return options
