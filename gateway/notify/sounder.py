"""The local sounder: a program that is run again and again while an alarm of it waits for somebody."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Final

from gateway.notify.options import NotifierOptions

# What a player of sounds may need; our own secrets are none of its business.
PASSED: Final = ("PATH", "HOME", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "PULSE_SERVER")


class Sounder:
    """Of one notifier; never more than one run at a time."""

    def __init__(self, options: NotifierOptions, ran: Callable[[str], None]) -> None:
        """`ran` is told of each run: "" or why it did not work."""
        self._options = options
        self._ran = ran
        self._title = ""
        self._changed = asyncio.Event()

    def sound(self, title: str) -> None:
        """From now on sound for this alarm; "": be silent, at once."""
        if bool(title) != bool(self._title):
            self._changed.set()
        self._title = title

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            if not self._title:
                await self._changed.wait()
                continue
            why = await run_once(self._options, self._title, self._changed)
            self._ran(why)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.repeat):
                    await self._changed.wait()


async def run_once(options: NotifierOptions, title: str, stop: asyncio.Event | None = None) -> str:
    """Run the program once, with the alarm's title in ASSAYGATE_TITLE; it ends when `stop` is set. "" or why it did
    not work."""
    environment = {name: os.environ[name] for name in PASSED if name in os.environ} | {"ASSAYGATE_TITLE": title}
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *options.command, stdin=quiet, stdout=quiet, stderr=quiet, env=environment, start_new_session=True
        )
    except (OSError, ValueError) as error:
        return f"its command cannot be run ({type(error).__name__})"
    waits = [asyncio.ensure_future(one) for one in (process.wait(), *([stop.wait()] if stop else []))]
    try:
        done, _ = await asyncio.wait(waits, timeout=options.limit, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return f"its command did not end within {options.limit:g} s"
        return f"its command ended with {process.returncode}" if process.returncode else ""
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # what it has started ends with it
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        for one in waits:
            one.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
