"""The journal: one writer thread, group commit, readers beside it.

`keep` is the only way in for instruments' bytes, and its `durable` callback the only licence to acknowledge
them. Whatever waits while a commit is under way shares the next one: a message alone has its own commit, a
flood shares them. When the disk is full or failing nothing is acknowledged and nothing is dropped: the same
group is tried again until it goes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import TypeVar, cast

import structlog

from gateway.journal import seals
from gateway.journal.bell import Bell
from gateway.journal.folder import Folder, InUseError
from gateway.journal.opening import JournalError, check, damaged, prepare
from gateway.journal.redelivery import Redelivered
from gateway.journal.schema import FILE, PART, SchemaError, connect
from gateway.journal.transaction import Cursor, Keep, RawMessage, Transaction, read_cursor, read_message

T = TypeVar("T")
log = structlog.get_logger()

GROUP = 2000  # most operations one commit may share
CHECK = "Check the folder's owner and the disk."
NO_WRITER = "the journal's writer failed: the daemon ends, to be started anew"
FULL = "the disk is full: nothing is acknowledged until there is space"
GONE = (
    "the journal's file was moved or removed while in use: nothing is acknowledged until it is back, or we start anew"
)
PRESSED = 8 << 20  # bytes waiting for a commit above which instruments are held back
# SQLite's primary result codes that speak of the disk and not of the statement.
DISK = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_NOMEM,
    }
)


class _Job:
    """A function to run in the writer's transaction, and where its answer goes."""

    __slots__ = ("answer", "error", "fn", "future")

    def __init__(self, fn: Callable[[Transaction], object], future: asyncio.Future[object]) -> None:
        self.fn, self.future = fn, future
        self.answer: object = None
        self.error: Exception | None = None


class Journal:
    """Open with `await Journal.open(data_dir)`; used from one event loop; `await close()` commits what waits."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE
        self.trouble = ""  # why nothing can be committed now; "" when all is well
        self.secret = b""  # what seals are made with
        self.commits = 0
        self.commit_seconds = 0.0
        self._slowest = 0.0
        self._redelivered = Redelivered()
        self._committing = 0.0  # when the commit under way began; 0: none is
        self._unchecked = False  # its pages have not been looked at since the start
        self._check: asyncio.Task[None] | None = None
        self._damage = ""
        self._inode = 0  # of the file that was opened
        self._folder = Folder(data_dir)
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Keep | _Job | None] = queue.SimpleQueue()
        self._waiting = 0  # bytes kept but not yet committed; touched on the loop only
        self._held: list[Callable[[], None]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name="journal-writer", daemon=True)
        self._readers = ThreadPoolExecutor(2, "journal-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self.raws = Bell(0)  # at rows that end a message
        self.observations = Bell(0)
        self.requests = Bell(0)  # at entries of the audit chain: what commands beside us have asked for

    @classmethod
    async def open(cls, data_dir: Path) -> Journal:
        """Errors: JournalError (in use, damaged, of a newer version, or the folder cannot be written)."""
        journal = cls(data_dir)
        try:
            await asyncio.to_thread(journal._prepare)
        except InUseError as error:
            raise JournalError(str(error)) from None
        except (JournalError, SchemaError, seals.SealKeyError):
            journal._release()
            raise
        except (OSError, sqlite3.Error) as error:
            journal._release()
            damaged = getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
            remedy = f"It is damaged: assaygate salvage {data_dir} NEW_FOLDER." if damaged else CHECK
            raise JournalError(f"{journal.path}: {error}. {remedy}") from error
        if journal._unchecked:
            journal._check = asyncio.create_task(journal._check_all(), name="journal-check")
        raws, observations = await journal.read(_last)
        journal.raws.ring(raws)
        journal.observations.ring(observations)
        journal._thread.start()
        return journal

    # ---- writing

    def keep(self, item: Keep) -> None:
        """Make raw bytes durable; `item.durable(id)` follows on the loop. Returns at once."""
        self._waiting += len(item.data) + 200
        self._queue.put(item)

    @property
    def pressed(self) -> bool:
        """True while so much waits for the disk that instruments should be held back."""
        return self._waiting > PRESSED

    @property
    def waiting(self) -> int:
        """Bytes kept but not durable yet."""
        return self._waiting

    def slowest(self) -> float:
        """Seconds the slowest commit took since the last call, one still under way included."""
        began, slowest = self._committing, self._slowest
        self._slowest = 0.0
        return max(slowest, time.perf_counter() - began if began else 0.0)

    def when_relieved(self, call: Callable[[], None]) -> None:
        """Call once on the loop when `pressed` has passed."""
        self._held.append(call)

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` in the next group's transaction; its answer after the commit. `fn` may run more than once
        (a failed commit is tried again), so it must have no effect outside the transaction."""
        future: asyncio.Future[object] = self._loop.create_future()
        self._queue.put(_Job(fn, future))
        return await future  # type: ignore[return-value]

    # ---- reading

    async def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run `fn` with a read-only connection in a reader thread. Keep it short: a long reader grows the WAL."""
        return await self._loop.run_in_executor(self._readers, self._with_connection, fn)

    async def rows(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """(seq, JSON body) of the observations after `after`, oldest first."""
        return await self.read(
            lambda db: db.execute(
                "SELECT seq, body FROM observation WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
            ).fetchall()
        )

    async def cursor(self, name: str) -> Cursor | None:
        return await self.read(lambda db: read_cursor(db, name))

    async def message(self, raw: int) -> RawMessage | None:
        return await self.read(lambda db: read_message(db, raw))

    def refresh(self) -> None:
        """Notice what another process (a command on the same journal) has written."""
        task = asyncio.ensure_future(self.read(_last))
        task.add_done_callback(self._ring)
        asked = asyncio.ensure_future(self.read(_last_audit))
        asked.add_done_callback(self._ring_requests)

    def _ring(self, task: asyncio.Future[tuple[int, int]]) -> None:
        if not task.cancelled() and task.exception() is None:
            raws, observations = task.result()
            self.raws.ring(raws)
            self.observations.ring(observations)

    def _ring_requests(self, task: asyncio.Future[int]) -> None:
        if not task.cancelled() and task.exception() is None:
            self.requests.ring(task.result())

    async def close(self) -> None:
        """Commit what waits (unless the disk refuses) and close."""
        if self._check:
            self._check.cancel()
            await asyncio.gather(self._check, return_exceptions=True)
        self._stop.set()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._readers.shutdown(wait=True)
        self._release()

    # ---- the writer thread

    def _prepare(self) -> None:
        self.secret, self._unchecked = prepare(self.path, self._folder)
        self._inode = self.path.stat().st_ino

    async def _check_all(self) -> None:
        """What takes minutes: instruments are served meanwhile."""
        db = await asyncio.to_thread(connect, self.path, read_only=True)
        checking = asyncio.ensure_future(asyncio.to_thread(check, db))
        try:
            if verdict := await asyncio.shield(checking):
                self.trouble = self._damage = damaged(self.path, verdict)
                log.error("journal damaged", error=verdict, path=str(self.path))
        except sqlite3.Error as error:
            log.warning("the journal's pages cannot be looked at", error=str(error), path=str(self.path))
        except asyncio.CancelledError:
            db.interrupt()
            await asyncio.gather(checking, return_exceptions=True)
            raise
        finally:
            db.close()

    def _write(self) -> None:
        """Without its writer the daemon would listen and never acknowledge; started anew, it does."""
        ended = False
        try:
            self._work()
            ended = True
        finally:
            if not ended:
                try:
                    log.critical(NO_WRITER, exc_info=True)  # noqa: LOG014 - an exception is on its way
                finally:
                    os._exit(1)

    def _work(self) -> None:
        db: sqlite3.Connection | None = None
        waiting: list[Keep | _Job] = []
        stopping = False
        while not (stopping and not waiting):
            if not stopping:
                stopping = self._gather(waiting)
            if not waiting:
                if db and not stopping:
                    _tidy(db)
                continue
            full = not self._folder.reserved()  # then only our own records are written
            trouble = self._damage or ("" if self._in_place() else GONE) or (FULL if full else "")
            if trouble and not self.trouble:
                log.error("journal cannot commit", error=trouble, path=str(self.path))
            group = [item for item in waiting if not trouble or (trouble == FULL and isinstance(item, _Job))]
            try:
                if group:
                    db = db or connect(self.path)
                    self._commit(db, group)
                self.trouble = trouble
                waiting = [item for item in waiting if isinstance(item, Keep) or trouble != FULL] if trouble else []
            except sqlite3.Error as error:
                db = self._fail(db, error)
            if waiting:
                if self._stop.is_set():
                    break
                self._stop.wait(0.5)
        if db:
            with contextlib.suppress(sqlite3.Error):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.close()

    def _in_place(self) -> bool:
        """Whether what is written is still the journal others find there."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def _gather(self, waiting: list[Keep | _Job]) -> bool:
        """Add what has come in; waits only where nothing is waiting yet. True when the journal closes."""
        if not waiting:
            try:
                item = self._queue.get(timeout=2.0)
            except queue.Empty:
                return False
            if item is None:
                return True
            waiting.append(item)
        while len(waiting) < GROUP:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return False
            if item is None:
                return True
            waiting.append(item)
        return False

    def _commit(self, db: sqlite3.Connection, group: list[Keep | _Job]) -> None:
        started = self._committing = time.perf_counter()
        lone = group[0]
        if len(group) == 1 and isinstance(lone, Keep) and lone.simple:
            # A statement by itself is a transaction: most of what one instrument alone waits for is spared.
            ids, jobs, seq = [(lone, Transaction(db).keep(lone))], list[_Job](), 0
        else:
            ids, jobs, seq = self._together(db, group)
        took, self._committing = time.perf_counter() - started, 0.0
        self._redelivered.rest()
        self.commits += 1
        self.commit_seconds += took
        self._slowest = max(self._slowest, took)
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is waiting any more
            self._loop.call_soon_threadsafe(self._committed, ids, jobs, seq)

    def _together(
        self, db: sqlite3.Connection, group: list[Keep | _Job]
    ) -> tuple[list[tuple[Keep, int]], list[_Job], int]:
        """One transaction for the whole group; the rows' ids, the jobs, and the newest observation if they made any."""
        transaction = Transaction(db)
        ids: list[tuple[Keep, int]] = []
        jobs = [item for item in group if isinstance(item, _Job)]
        threads = [(item.thread, item.thread.id) for item in group if isinstance(item, Keep) and item.thread]
        db.execute("BEGIN IMMEDIATE")
        try:
            for plain, items in groupby(group, lambda item: isinstance(item, Keep) and item.plain):
                if plain:
                    keeps = cast(list[Keep], list(items))
                    ids += zip(keeps, transaction.keep_plain(keeps), strict=True)
                    continue
                for item in items:
                    if isinstance(item, Keep):
                        ids.append((item, transaction.keep(item, lambda k: self._redelivered.find(db, k))))
                    else:
                        self._run(db, transaction, item)
            seq = _last(db)[1] if jobs else 0
            db.execute("COMMIT")
        except sqlite3.Error:
            for thread, former in reversed(threads):
                thread.id = former
            raise
        return ids, jobs, seq

    def _run(self, db: sqlite3.Connection, transaction: Transaction, job: _Job) -> None:
        """Run one job so that its own mistake undoes only itself."""
        db.execute("SAVEPOINT job")
        try:
            job.answer, job.error = job.fn(transaction), None
        except Exception as error:
            if isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF in DISK:
                raise
            db.execute("ROLLBACK TO job")
            job.error = error
        db.execute("RELEASE job")

    def _committed(self, ids: list[tuple[Keep, int]], jobs: list[_Job], observations: int) -> None:
        raws = 0
        for item, row_id in ids:
            self._waiting -= len(item.data) + 200
            item.durable(row_id)
            if item.state != PART:
                raws = max(raws, row_id)
        for job in jobs:
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.answer)
        self.raws.ring(raws)
        self.observations.ring(observations)
        if self._held and self._waiting < PRESSED // 2:
            held, self._held = self._held, []
            for call in held:
                call()

    # ---- trouble

    def _fail(self, db: sqlite3.Connection | None, error: sqlite3.Error) -> sqlite3.Connection | None:
        """A commit did not go through: say so, and start from a fresh connection (after a failed flush the old
        one's pages cannot be trusted to be on the disk)."""
        if not self.trouble:
            log.error("journal cannot commit", error=str(error), path=str(self.path))
        self.trouble, self._committing = str(error), 0.0
        self._redelivered.forget()
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            with contextlib.suppress(OSError):
                self._folder.spend()
        if db:
            with contextlib.suppress(sqlite3.Error):
                if db.in_transaction:
                    db.execute("ROLLBACK")
            db.close()
        return None

    # ---- connections

    def _with_connection(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = connect(self.path, read_only=True)
            self._connections.append(db)
        return fn(db)

    def _release(self) -> None:
        for db in self._connections:
            db.close()
        self._connections.clear()
        self._folder.release(well=self._thread.ident is not None)


def _last(db: sqlite3.Connection) -> tuple[int, int]:
    """Positions of the newest raw row and the newest observation."""
    row = db.execute(
        "SELECT coalesce((SELECT max(id) FROM raw), 0), coalesce((SELECT max(seq) FROM observation), 0)"
    ).fetchone()
    return row[0], row[1]


def _last_audit(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(n), 0) FROM audit").fetchone()[0])


def _tidy(db: sqlite3.Connection) -> None:
    """Nothing to do for a while: give the write-ahead log's space back."""
    with contextlib.suppress(sqlite3.Error):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
