"""A time-series store: is it what the configuration says, may we write, for how long does it keep, what time has it?

Asked without leaving anything: the write has no point in it, only a comment.
"""

from __future__ import annotations

import base64
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from gateway.finding import Check, good, problem, unknown, warning
from gateway.sinks.options import InfluxOptions

PATIENCE: Final = 5.0  # seconds
MOST: Final = 4 << 20  # bytes of an answer we read
APART: Final = 5.0  # seconds its clock may be off ours
DAY: Final = 86400.0
NOTHING: Final = b"# assaygate doctor\n"

# Units of a Go duration as InfluxDB says it, and of VictoriaMetrics' flag, where a bare number is months.
_GO: Final = {"h": 3600.0, "m": 60.0, "s": 1.0}
_VICTORIA: Final = {"": 31 * DAY, "h": 3600.0, "d": DAY, "w": 7 * DAY, "M": 31 * DAY, "y": 365 * DAY}
_RETENTION: Final = re.compile(rb'^flag\{name="retentionPeriod", value="([\d.]+)([a-zA-Z]?)"', re.MULTILINE)
_VERSION: Final = re.compile(rb'^vm_app_version\{.*?short_version="([^"]*)"', re.MULTILINE)
FOREVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; status 0: none, `body` says why."""

    status: int
    body: bytes
    headers: Message

    @property
    def said(self) -> str:
        return f"{self.status} {' '.join(self.body[:200].decode('utf-8', 'replace').split())}".strip()


@dataclass(frozen=True, slots=True)
class Kind:
    """What answers: `name` with its version for people; `family`: victoria, influx1, influx2, influx3 or nothing."""

    family: str
    name: str


class Store:
    """One sink's store."""

    def __init__(self, options: InfluxOptions) -> None:
        self.options = options
        self._tls = ssl.create_default_context(cafile=options.ca_file) if options.url.startswith("https:") else None
        ref = options.token or options.password
        secret = ref.resolve() if ref else ""
        self._headers = {"Accept-Encoding": "identity", "Content-Type": "text/plain"}
        if options.version == "1" and options.username:
            pair = base64.b64encode(f"{options.username}:{secret}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        elif secret:
            self._headers["Authorization"] = f"Token {secret}"

    def ask(self, path: str, query: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
        url = self.options.url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        request = urllib.request.Request(url, body, self._headers)  # noqa: S310 - http(s), checked
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=self._tls) as answer:  # noqa: S310
                return Answer(answer.status, answer.read(MOST), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(MOST), error.headers)
        except (OSError, ValueError) as error:
            return Answer(0, str(error).encode(), Message())


def look(options: InfluxOptions, keep: float | None) -> Iterator[Check]:
    """`keep`: seconds the journal keeps; None: for ever. Blocks. Errors: OSError, ValueError (a secret or a certificate
    that cannot be read)."""
    name = f"sink {options.id}"
    store = Store(options)
    began = time.time()
    ping = store.ask("/ping")
    yield _clock(f"{name}: clock", ping, began, time.time())
    metrics = store.ask("/metrics").body
    kind = recognised(ping, metrics, options.version)
    yield fits(f"{name}: type", kind, options)
    if not kind.family:
        return
    yield written(f"{name}: writing", store.ask(*_target(options), body=NOTHING), options)
    if kind.family == "victoria":
        yield lasting(f"{name}: retention", victoria_keeps(metrics), keep, _VICTORIA_REMEDY)
    elif kind.family == "influx1":
        yield _influx1(f"{name}: retention", store, keep)
    elif kind.family == "influx2":
        yield _influx2(f"{name}: retention", store, keep)
    else:
        yield unknown(f"{name}: retention", f"{kind.name} is not known to tell", "See the store's own settings.")


def _target(options: InfluxOptions) -> tuple[str, dict[str, str]]:
    if options.version == "1":
        policy = {"rp": options.retention_policy} if options.retention_policy else {}
        return "/write", {"db": options.database, **policy}
    return "/api/v2/write", {"org": options.org, "bucket": options.bucket}


def _clock(name: str, answer: Answer, began: float, ended: float) -> Check:
    """By the Date header, which has whole seconds."""
    remedy = "Let a time service (chrony) set both."
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except ValueError:
        return unknown(name, "the store does not say what time it has", remedy)
    apart = max(began - theirs - 1.0, theirs - ended, 0.0)
    if apart > APART:
        later = "behind" if theirs < began else "ahead of"
        return warning(
            name, f"the store's clock is {apart:,.0f} s {later} ours; which of them is wrong is not known", remedy
        )
    return good(name, "the store's clock agrees with ours")


def recognised(ping: Answer, metrics: bytes, version: str) -> Kind:
    """By the header of /ping; VictoriaMetrics says there that it is InfluxDB, and in its metrics what it is."""
    if victoria := _VERSION.search(metrics):
        return Kind("victoria", f"VictoriaMetrics {victoria[1].decode('ascii', 'replace')}".strip())
    said = ping.headers.get("X-Influxdb-Version", "")
    number = said.lstrip("v")
    if number[:1] in ("1", "2", "3"):
        return Kind(f"influx{number[0]}", f"InfluxDB {number}")
    if said or ping.status in (200, 204, 401, 403):
        # Something in between may hide what it is (vmauth, a proxy); the write will tell.
        return Kind("other" if ping.status != 200 or said else "", said or f"something that answers {ping.said}")
    return Kind("", f"something that answers {ping.said}")


def fits(name: str, kind: Kind, options: InfluxOptions) -> Check:
    """Does `version` of the sink fit what answers?"""
    found = f"it is {kind.name}"
    if not kind.family:
        return problem(name, f"{found}: no store we know", "Correct sinks.url, its port and its path.")
    if kind.family == "other":
        return unknown(name, f"{kind.name} says no version", "See whether points arrive: assaygate sinks.")
    if options.version == "2" and kind.family == "influx1":
        old = int((re.match(r"InfluxDB 1\.(\d+)", kind.name) or ["", "0"])[1]) < 8
        remedy = 'Write version = "1" and database = "..." instead of org, bucket and token.'
        if old:
            return problem(name, f'{found}, which has no API of version "2"', remedy)
        return warning(name, f'{found}, where a bucket is "database/policy"', remedy)
    if options.version == "1" and kind.family in ("influx2", "influx3", "victoria"):
        remedy = 'Write version = "2", with org, bucket and token where it asks for them.'
        return warning(name, f'{found}, spoken to as if it were InfluxDB 1.x: its own API is version = "2"', remedy)
    return good(name, found)


def written(name: str, answer: Answer, options: InfluxOptions) -> Check:
    """May we write? `answer`: to a write of no points."""
    if answer.status == 204:
        return good(name, "the store lets us write (asked with no point)")
    if answer.status in (401, 403):
        who = "username and password" if options.version == "1" else "token, and what it may write"
        return problem(name, f"refused: {answer.said}", f"Correct the sink's {who}.")
    if answer.status == 404 and b"database not found" in answer.body:
        return problem(name, answer.said, f"influx -execute 'CREATE DATABASE \"{options.database}\"'")
    if b"retention policy not found" in answer.body:
        return problem(name, answer.said, "Correct sinks.retention_policy, or leave it out for the default.")
    if answer.status == 404:
        return problem(name, answer.said, "Correct sinks.url, version, org or bucket.")
    return unknown(name, answer.said, "See whether points arrive: assaygate sinks.")


# ---- for how long does it keep


_VICTORIA_REMEDY: Final = "Start VictoriaMetrics with -retentionPeriod=10y (its default is one month)."


def victoria_keeps(metrics: bytes) -> float | str:
    """Seconds, or why it cannot be said."""
    found = _RETENTION.search(metrics)
    unit = found[2].decode() if found else ""
    if found is None or unit not in _VICTORIA:
        return "its metrics do not say -retentionPeriod (vmstorage has it in a cluster)"
    return float(found[1]) * _VICTORIA[unit]


def _influx1(name: str, store: Store, keep: float | None) -> Check:
    options = store.options
    if not options.database:
        return unknown(name, "no database is configured", "Configure it as the line above says.")
    quoted = options.database.replace("\\", "\\\\").replace('"', '\\"')
    answer = store.ask("/query", {"q": f'SHOW RETENTION POLICIES ON "{quoted}"'})
    keeps = influx1_keeps(answer.body, options.retention_policy) if answer.status == 200 else answer.said
    policy = options.retention_policy or "POLICY"
    return lasting(
        name, keeps, keep, f'influx -execute \'ALTER RETENTION POLICY "{policy}" ON "{quoted}" DURATION INF\''
    )


def influx1_keeps(body: bytes, policy: str) -> float | str:
    """Seconds, or why it cannot be said. `policy`: its name; empty: the default one."""
    try:
        result = orjson.loads(body)["results"][0]
        if "error" in result:
            return str(result["error"])
        for row in _rows(result):
            if row["name"] == policy if policy else row["default"]:
                parts = re.findall(r"(\d+)([hms])", str(row["duration"]))
                return sum(int(count) * _GO[unit] for count, unit in parts) or FOREVER
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
        return "its answer was not understood"
    return f"there is no retention policy {policy or 'by default'}"


def _rows(result: Any) -> Iterator[dict[str, Any]]:
    for series in result["series"]:
        for row in series["values"]:
            yield dict(zip(series["columns"], row, strict=True))


def _influx2(name: str, store: Store, keep: float | None) -> Check:
    options = store.options
    answer = store.ask("/api/v2/buckets", {"org": options.org, "name": options.bucket})
    keeps = influx2_keeps(answer.body) if answer.status == 200 else answer.said
    return lasting(name, keeps, keep, f"influx bucket update --id ID --retention 0   (of bucket {options.bucket})")


def influx2_keeps(body: bytes) -> float | str:
    """Seconds, or why it cannot be said: a token that may only write is shown no bucket."""
    try:
        rules = orjson.loads(body)["buckets"][0]["retentionRules"]
        return min((float(rule["everySeconds"]) for rule in rules if rule["everySeconds"]), default=FOREVER)
    except IndexError:
        return "the token may not read the bucket"
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
        return "its answer was not understood"


def lasting(name: str, keeps: float | str, keep: float | None, remedy: str) -> Check:
    """Is what the journal keeps kept there as long? `keep`: seconds; None: for ever."""
    if isinstance(keeps, str):
        return unknown(name, keeps, f"See the store. {remedy}")
    found = "the store keeps for ever" if keeps == FOREVER else f"the store keeps for {keeps / DAY:g} days"
    if keeps < (FOREVER if keep is None else keep) and keeps < 100 * 365 * DAY:
        journal = "for ever" if keep is None else f"for {keep / DAY:g} days"
        return warning(name, f"{found}, the journal {journal}: what is older is dropped there without a word", remedy)
    return good(name, found)
