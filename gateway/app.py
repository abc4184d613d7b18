"""The composition root: a configuration becomes parts in one TaskGroup. No `if` about instruments."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

import drivers
from gateway import control, stall, systemd
from gateway.config import Config, Device, load
from gateway.config_errors import ConfigError
from gateway.decode import Decoder, Reading
from gateway.journal import retention
from gateway.journal.age import Age, age
from gateway.journal.rollups import Rollups
from gateway.journal.schema import ALARMS, REFUSED, SINK
from gateway.journal.sealer import Sealer
from gateway.journal.store import Journal
from gateway.journal.transaction import Keep
from gateway.links.build import Links
from gateway.links.link import Chunk
from gateway.logs import configure
from gateway.pulse import Pulse
from gateway.qc.options import SECTIONS
from gateway.qc.stage import Stage
from gateway.readings import reading
from gateway.secrets import missing
from gateway.session import Session
from gateway.supervise import Supervisor

if TYPE_CHECKING:
    from gateway.alarms.engine import AlarmEngine
    from gateway.sinks.state import Sink

log = structlog.get_logger()

ALARMING = ("alarms", "suppressions", "notifiers", "alarm_test", "heartbeats")  # tables the alarms are made of
LISTENING_WITHIN = 10.0  # seconds that systemd waits for listeners
LAST_WORD = 0.5  # seconds for the stop's own entry in the audit chain
DRAIN = 2.0  # seconds at a stop for what has been acknowledged to be decoded and delivered
TIDY_EVERY = 60.0
LOOK_EVERY = 1.0  # notice what commands have written to the journal


class App:
    """A running gateway. Its parts are found by name in `supervisor.parts`."""

    def __init__(self, config: Config, path: Path, journal: Journal, group: asyncio.TaskGroup) -> None:
        self.config = config
        self.journal = journal
        self.supervisor = Supervisor(group)
        self.sessions: dict[str, Session] = {}
        self.readings: dict[str, Reading] = {}
        self.stage = Stage(config, journal.secret)
        self.decoder = Decoder(journal, self.readings.get, lambda t, rows: self.stage.mark(t, rows))
        self.sinks: dict[str, Sink] = {}
        self.alarms: AlarmEngine | None = None
        self.started = time.time()
        self.pulse = Pulse(journal, config.gateway.data_dir)
        self.ready = asyncio.Event()
        self.reload_error = ""
        self.age: Age | None = None  # once retention runs
        self._path = path
        self._links = Links(config, journal, self._unclaimed)
        self._sealer = Sealer(journal, journal.secret)
        self._reloading = asyncio.Lock()
        self._stopping = False

    def start(self) -> None:
        """Start every part."""
        start = self.supervisor.start
        for words in missing(self.config):
            log.error("a secret is missing", secret=words)
        for device in self.config.devices:
            self._start_device(device)
        for broker in self.config.brokers:
            start(f"broker:{broker.id}", self._links.broker(broker.id).run)
        start("decode", self.decoder.run)
        start("alarms", self._run_alarms)
        for sink in self.config.sinks:
            self._start_sink(sink.id)
        start("control", lambda: control.serve(self.config.gateway.data_dir, lambda: self.sessions))
        start("tidy", self._tidy)
        start("seal", self._sealer.run)
        start("rollups", Rollups(self.journal).run)
        start("look", self._look)
        start("pulse", self.pulse.run)
        if systemd.watchdog_interval():
            start("watchdog", self._watchdog)
        start("web", self._run_web)

    async def listening(self) -> None:
        """Return once every device's listener and the page listen."""
        await self._links.listening()
        await self.ready.wait()

    @property
    def signs(self) -> Mapping[str, float]:
        return self.pulse.signs

    # ---- parts

    def _start_device(self, device: Device) -> None:
        driver = drivers.load(device.driver)
        session = Session(device.id, lambda: driver.host(device), self.journal)
        link = self._links.link(device)
        self.readings[device.id] = reading(device)
        self.sessions[device.id] = session
        self.supervisor.start(f"device:{device.id}", lambda: link.run(session))

    def _start_sink(self, sink_id: str) -> None:
        from gateway.sinks import build

        options = next(sink for sink in self.config.sinks if sink.id == sink_id)
        sink = build(options, self.journal, self.config.gateway.site, self.config.brokers)
        self.sinks[sink_id] = sink
        self.supervisor.start(f"sink:{sink_id}", sink.run)

    async def _run_alarms(self) -> None:
        from gateway.alarms.engine import AlarmEngine

        self.alarms = AlarmEngine(self.config, self.journal, self)
        await self.alarms.run()

    async def _run_web(self) -> None:
        from gateway.views import AppViews
        from gateway.web.server import serve

        await serve(AppViews(self), self.config.http, self.ready)

    async def _tidy(self) -> None:
        """Remove what is due, a step at a time, so that instruments' commits go in between."""
        await self._sealer.caught_up.wait()  # what has no seal yet is not removed
        watch = self.age = await self.journal.read(lambda db: age(db, time.time()))
        looked = time.monotonic()
        while True:
            options, now = self.config.journal, time.monotonic()
            watch.look(time.time(), now - looked)
            looked = now
            readers = [ALARMS, *(f"{SINK}{sink}" for sink in self.sinks)]
            step = partial(retention.step, believed=watch.believed)
            gone = await self.journal.write(lambda t: step(t, options.keep, options.keep_bytes, readers))  # noqa: B023 - awaited
            if watch.due:
                await self.journal.write(watch.save)
            await asyncio.sleep(0 if gone else TIDY_EVERY)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.journal.refresh()

    async def _watchdog(self) -> None:
        """Tell systemd we are alive only when a commit has gone through the writer and back, or the journal says why
        none can: starting anew would mend no disk, and take the page away."""
        interval = systemd.watchdog_interval() or 10.0
        while True:
            commit = asyncio.ensure_future(self.journal.write(lambda _t: None))
            try:
                while not commit.done():
                    await asyncio.wait([commit], timeout=interval)
                    if commit.done() or self.journal.trouble:
                        systemd.notify("WATCHDOG=1")
            finally:
                commit.cancel()
            await asyncio.sleep(interval)

    def _unclaimed(self, chunk: Chunk, done: Callable[[], None]) -> None:
        """A message for no configured device: kept, and listed for people."""
        self.journal.keep(
            Keep(
                "",
                chunk.channel,
                time.time_ns(),
                chunk.data,
                REFUSED,
                lambda _id: done(),
                reason="unclaimed",
                detail=f"no device is configured for {chunk.channel}",
                packet=chunk.packet,
                again=chunk.again,
            )
        )

    # ---- reloading

    async def reload(self) -> None:
        """Read the configuration again and change only what differs; a broken file changes nothing."""
        async with self._reloading:
            if self._stopping:
                return
            try:
                new = await asyncio.to_thread(self._read)
            except ConfigError as error:
                self.reload_error = str(error)
                log.warning("configuration not reloaded: it has problems", problems=error.problems)
                return
            self.reload_error = ""
            for known in self._links.brokers.values():
                known.hold()
            try:
                await self._change(self.config, new)
            finally:
                for known in self._links.brokers.values():
                    known.settle()

    def _read(self) -> Config:
        """The file as it is now. Errors: ConfigError (that, or a secret it asks for and the former did not lack)."""
        new = load(self._path)
        if lacking := sorted({*missing(new)} - {*missing(self.config)}):
            raise ConfigError([f"{self._path}: {words}" for words in lacking])
        return new

    async def _change(self, old: Config, new: Config) -> None:
        brokers = _changed(old.brokers, new.brokers)
        devices = _changed(old.devices, new.devices)
        devices |= {d.id for d in (*old.devices, *new.devices) if d.link.type == "mqtt" and d.link.broker in brokers}
        sinks = _changed(old.sinks, new.sinks)
        await self.supervisor.stop(*(f"device:{name}" for name in devices))
        await self.supervisor.stop(*(f"broker:{name}" for name in brokers), *(f"sink:{name}" for name in sinks))
        for name in devices:
            self.sessions.pop(name, None)  # how it is read stays: what it was told "received" for may wait to be
        for name in sinks:
            self.sinks.pop(name, None)
        self.config = new
        self.stage = Stage(new, self.journal.secret)
        self._links.change(new, brokers)
        for device in new.devices:
            if device.id in devices:
                self._start_device(device)
        for broker in new.brokers:
            if broker.id in brokers:
                self.supervisor.start(f"broker:{broker.id}", self._links.broker(broker.id).run)
        for sink in new.sinks:
            if sink.id in sinks:
                self._start_sink(sink.id)
        quality = {name for name in SECTIONS if getattr(old, name) != getattr(new, name)}
        if devices or brokers or quality or any(getattr(old, name) != getattr(new, name) for name in ALARMING):
            await self.supervisor.stop("alarms")
            self.supervisor.start("alarms", self._run_alarms)
        unchanged = [name for name in ("gateway", "http", "people") if getattr(old, name) != getattr(new, name)]
        if unchanged:
            log.warning("these tables take effect at the next start", tables=unchanged)
        changed = sorted(devices | sinks | brokers | quality)
        await self.journal.write(lambda t: t.audit("configuration.reloaded", changed=changed))
        log.info("configuration reloaded", changed=changed)

    # ---- stopping

    async def stop(self) -> None:
        """Take in nothing more, let what was acknowledged go through, then stop the rest."""
        self._stopping = True
        names = list(self.supervisor.parts)
        await self.supervisor.stop(*(n for n in names if n.startswith(("device:", "broker:", "control", "tidy"))))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await self._drained()
        await self.supervisor.close()
        with contextlib.suppress(TimeoutError):  # where the disk refuses
            async with asyncio.timeout(LAST_WORD):
                await self.journal.write(lambda t: t.audit("stop"))

    async def _drained(self) -> None:
        await self.journal.write(lambda _t: None)
        await self.decoder.done.beyond(self.journal.raws.at - 1)


def _changed(old: Sequence[Any], new: Sequence[Any]) -> set[str]:
    """Ids of what was added, removed or altered."""
    before, after = ({item.id: item for item in items} for items in (old, new))
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


async def serve(config: Config, path: Path, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
    """Run a gateway until `stop` is set; `ready` is called once every listener listens. Errors: JournalError."""
    journal = await Journal.open(config.gateway.data_dir)
    try:
        async with asyncio.TaskGroup() as group:
            app = App(config, path, journal, group)
            await _begin(journal, config.gateway.data_dir)
            app.start()
            loop = asyncio.get_running_loop()
            tasks: set[asyncio.Task[None]] = set()

            def reload() -> None:
                task = loop.create_task(app.reload())
                tasks.add(task)
                task.add_done_callback(tasks.discard)

            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(signal.SIGHUP, reload)
            telling = group.create_task(_tell(app, ready))
            with stall.watched(lambda: app.pulse.beaten, config.gateway.stall, config.gateway.data_dir):
                await stop.wait()
            telling.cancel()
            systemd.notify("STOPPING=1")
            await app.stop()
    finally:
        await journal.close()
    log.info("stopped")


async def _tell(app: App, ready: Callable[[], None]) -> None:
    """Say `ready` once everything listens. A port that somebody else has keeps no other part from its work, so systemd
    is not kept waiting for it, and would end us in the midst of that work."""
    try:
        async with asyncio.timeout(LISTENING_WITHIN):
            await app.listening()
    except TimeoutError:
        log.warning("not everything listens; all else is at work")
    systemd.notify("READY=1")
    await app.listening()
    log.info("ready", page=f"http://{app.config.http.listen}", **_addresses(app.config))
    ready()


async def _begin(journal: Journal, data_dir: Path) -> None:
    """Enter the start into the audit chain, and once how the run before ended if it stood still."""
    stood = stall.last(data_dir)
    query = "SELECT count(*) FROM audit WHERE instr(body, ?)"
    if stood and not await journal.read(lambda db: int(db.execute(query, (stood,)).fetchone()[0])):
        log.error("the last run stood still and was ended", doing=str(data_dir / stood))
        await journal.write(lambda t: t.audit("stalled", doing=stood))
    await journal.write(lambda t: t.audit("start"))


def _addresses(config: Config) -> Mapping[str, list[str]]:
    return {"listening": [f"{d.id}: {d.link.address}" for d in config.devices]}


def run_daemon(path: Path) -> None:
    """The `run` command: in the foreground until SIGTERM or SIGINT. Errors: ConfigError, JournalError."""
    configure()
    config = load(path)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(config, path, stop)

    asyncio.run(main())
