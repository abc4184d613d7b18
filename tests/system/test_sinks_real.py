"""The influxdb sink against real stores: what they have is what the journal has, once."""

from __future__ import annotations

import asyncio
import urllib.request
from datetime import UTC, datetime, timedelta
from functools import partial

from gateway.journal.store import Journal
from gateway.sinks.state import Sink
from tests.gateway.sink_bench import START, Bench, drained, influx_sink, journal, running, until
from tests.system.stores import Influx, Victoria, influx, own_influx, own_victoria, victoria

__all__ = ["influx", "journal", "own_influx", "own_victoria", "victoria"]


async def test_every_observation_reaches_victoriametrics_once(journal: Journal, victoria: Victoria) -> None:
    bench = Bench(journal)
    await bench.many(2500)
    async with running(influx_sink(journal, victoria.url, measurement="once")) as part:
        await until(drained(part))
        await bench.many(500)
        await until(drained(part))
        assert part.state.delivered == 3000
        assert part.state.connected
    assert victoria.values("once_seq") == list(range(1, 3001))
    series = victoria.export("once_value")
    assert [s["metric"] for s in series] == [
        {
            "__name__": "once_value",
            "code": "loinc:1988-5",
            "device": "reader-1",
            "kind": "result",
            "quantity": "crp",
            "site": "lab-1",
            "unit": "mg/L",
        }
    ]
    assert victoria.values("once_value") == [n + 0.5 for n in range(1, 3001)]


async def test_every_observation_reaches_influxdb_1_once_with_its_fields(journal: Journal, influx: Influx) -> None:
    influx.query("CREATE DATABASE once")
    bench = Bench(journal)
    await bench.many(1200)
    await bench.add(
        bench.row(kind="qc", value='POS, "strong" \\', interpretation="positive", unit=None, comparator=">")
    )
    async with running(influx_sink(journal, influx.url, version="1", database="once")) as part:
        await until(drained(part))
    rows = influx.query("SELECT * FROM result GROUP BY *", "once")
    assert [row["seq"] for row in rows] == list(range(1, 1201))
    assert rows[0] == {
        "time": (1772323200 * 1000 + 100) * 1_000_000,
        "seq": 1,
        "value": 1.5,
        "code": "loinc:1988-5",
        "device": "reader-1",
        "kind": "result",
        "quantity": "crp",
        "site": "lab-1",
        "unit": "mg/L",
    }
    (qc,) = influx.query("SELECT * FROM qc GROUP BY *", "once")
    assert (qc["call"], qc["text"], qc["interpretation"], qc["comparator"]) == (1, 'POS, "strong" \\', "positive", ">")


async def test_results_of_one_second_stay_two_in_both_stores(
    journal: Journal, victoria: Victoria, influx: Influx
) -> None:
    influx.query("CREATE DATABASE twins")
    bench = Bench(journal)
    when = START + timedelta(hours=1)
    for value in (7.25, 7.25, 9.0):
        await bench.add(bench.row(at=when, value=value))
    await bench.add(bench.row(at=when + timedelta(microseconds=400), value=9.5))
    async with (
        running(influx_sink(journal, victoria.url, id="vm", measurement="twins")) as one,
        running(influx_sink(journal, influx.url, id="influx", version="1", database="twins")) as other,
    ):
        await until(drained(one))
        await until(drained(other))
    assert victoria.values("twins_value") == [7.25, 7.25, 9.0, 9.5]
    assert victoria.values("twins_seq") == [1, 2, 3, 4]
    assert sorted(row["seq"] for row in influx.query("SELECT * FROM result", "twins")) == [1, 2, 3, 4]


async def test_calls_and_short_texts_survive_a_store_of_numbers(journal: Journal, victoria: Victoria) -> None:
    bench = Bench(journal)
    plain = {"unit": None, "code": None}
    await bench.add(
        bench.row(quantity="flu-a", value="NEG", interpretation="negative", **plain),
        bench.row(quantity="flu-b", value="POS", interpretation="positive", **plain),
        bench.row(quantity="flu-c", value="???", interpretation="invalid", **plain),
        bench.row(quantity="ana", value="1:320 hom.\\", **plain),
        bench.row(quantity="door", value=True, kind="event", **plain),
        bench.row(quantity="note", value="specimen 20260301 of a person", **plain),
    )
    async with running(influx_sink(journal, victoria.url, measurement="says")) as part:
        await until(drained(part))
    calls = {
        (s["metric"]["quantity"], s["metric"]["interpretation"]): s["values"] for s in victoria.export("says_call")
    }
    assert calls == {("flu-a", "negative"): [0], ("flu-b", "positive"): [1], ("flu-c", "invalid"): [-1]}
    words = {s["metric"]["quantity"]: s["metric"].get("word") for s in victoria.export("says_text")}
    assert words == {"flu-a": None, "flu-b": None, "flu-c": None, "ana": "1:320 hom.\uff3c", "note": None}
    assert victoria.values("says_value") == [1]
    everything = str(victoria.export('{__name__=~"says_.*"}'))
    assert not any(secret in everything for secret in ("S-1", "P-1", "op-7", "20260301"))


async def test_a_store_killed_in_mid_stream_has_everything_after_catching_up(
    journal: Journal, own_victoria: Victoria
) -> None:
    own_victoria.start()
    bench = Bench(journal)
    async with running(influx_sink(journal, own_victoria.url, measurement="killed", batch=100)) as part:
        for _ in range(3):
            feed = asyncio.create_task(feed_slowly(bench, 1500))
            enough = part.state.delivered + 500
            await until(partial(delivered, part, enough))
            await asyncio.to_thread(own_victoria.kill)
            await feed
            await asyncio.to_thread(own_victoria.start)
            await until(drained(part))
        assert part.state.last_error == ""
        assert own_victoria.values("killed_seq") == list(range(1, bench.made + 1))


def delivered(part: Sink, count: int) -> bool:
    return part.state.delivered >= count


async def feed_slowly(bench: Bench, count: int) -> None:
    for _ in range(count // 50):
        await bench.many(50)
        await asyncio.sleep(0.002)


async def test_a_store_that_dies_right_after_acknowledging_gets_it_again_though_nothing_new_came(
    journal: Journal, own_victoria: Victoria
) -> None:
    own_victoria.start()
    bench = Bench(journal)
    async with running(influx_sink(journal, own_victoria.url, measurement="idle")) as part:
        await bench.many(1000)
        await until(drained(part))
        await asyncio.to_thread(own_victoria.kill)
        await asyncio.to_thread(own_victoria.start)
        await until(lambda: part.state.delivered >= 2000)
        assert own_victoria.values("idle_seq") == list(range(1, 1001))


async def test_our_own_restart_sends_the_last_seconds_again(journal: Journal, own_victoria: Victoria) -> None:
    own_victoria.start()
    bench = Bench(journal)
    await bench.many(300)
    async with running(influx_sink(journal, own_victoria.url, measurement="own")) as part:
        await until(drained(part))
    own_victoria.kill()
    own_victoria.start()
    async with running(influx_sink(journal, own_victoria.url, measurement="own")) as part:
        await until(lambda: part.state.delivered >= 300)
        assert part.state.cursor == 300
    assert own_victoria.values("own_seq") == list(range(1, 301))


async def test_a_store_that_was_down_all_the_time_gets_everything(journal: Journal, own_influx: Influx) -> None:
    bench = Bench(journal)
    more = {"version": "1", "database": "late"}
    async with running(influx_sink(journal, own_influx.url, **more)) as part:
        await bench.many(3000)
        await until(lambda: part.state.last_error)
        assert (part.state.connected, part.state.behind, part.state.cursor) == (False, 3000, 0)
        await asyncio.to_thread(own_influx.start)
        await until(lambda: "database not found" in part.state.last_error)
        own_influx.query("CREATE DATABASE late")
        await until(drained(part))
        own_influx.kill()
        await bench.many(500)
        await asyncio.to_thread(own_influx.start)
        await until(drained(part))
    assert [row["seq"] for row in own_influx.query("SELECT seq FROM result", "late")] == list(range(1, 3501))


async def test_a_point_the_store_refuses_is_listed_and_the_others_arrive(journal: Journal, influx: Influx) -> None:
    influx.query("CREATE DATABASE poison")
    # From now on this week's `text` of results is a number: a word cannot be stored.
    line = f"result text=1 {int(START.timestamp())}".encode()
    urllib.request.urlopen(f"{influx.url}/write?db=poison&precision=s", line, timeout=5).close()
    bench = Bench(journal)
    rows = [bench.row() for _ in range(1000)]
    for bad in (0, 417, 418, 999):
        rows[bad] = bench.row(value="a word", at=START + timedelta(seconds=bad))
    await bench.add(*rows)
    async with running(influx_sink(journal, influx.url, version="1", database="poison")) as part:
        await until(drained(part))
        assert part.state.refused == 4
    listed = await journal.read(lambda db: db.execute("SELECT sink, seq, reason FROM refused ORDER BY seq").fetchall())
    assert [(name, seq) for name, seq, _ in listed] == [("store", 1), ("store", 418), ("store", 419), ("store", 1000)]
    assert all("field type conflict" in reason for _, _, reason in listed)
    stored = [row["seq"] for row in influx.query("SELECT seq FROM result WHERE seq > 0", "poison")]
    assert sorted(stored) == [n for n in range(1, 1001) if n not in {1, 418, 419, 1000}]
    # A new process does not try them again and knows how many there are.
    async with running(influx_sink(journal, influx.url, version="1", database="poison")) as part:
        await until(lambda: part.state.delivered >= 996)
        assert part.state.refused == 4


async def test_what_a_store_would_drop_silently_is_refused_aloud(journal: Journal, victoria: Victoria) -> None:
    bench = Bench(journal)
    await bench.add(
        bench.row(at=datetime.now(UTC) + timedelta(days=3)),
        bench.row(at=datetime(1969, 12, 31, tzinfo=UTC)),
        bench.row(),
    )
    async with running(influx_sink(journal, victoria.url, measurement="aloud")) as part:
        await until(drained(part))
        assert (part.state.delivered, part.state.refused) == (1, 2)
    assert victoria.values("aloud_seq") == [3]
