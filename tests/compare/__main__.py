"""The same instruments and the same kills for assaygate and for what a user would pick instead: `make compare`, or
`python -m tests.compare [KILLS]`. Prints a table of what was acknowledged and what was kept."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.compare.contenders import CONTENDERS, Contender
from tests.system.daemon import eventually
from tests.system.peers import Analyser, Broker, Publisher

ENDLESS = 1_000_000
PAUSE = 0.005  # seconds between two readings
HEADS = ("acknowledged", "kept", "lost", "doubled", "wrong")


def try_it(kind: type[Contender], folder: Path, kills: int) -> tuple[int, ...]:
    """Kill a contender again and again under load, and count. Errors: RuntimeError (it does not start)."""
    chance = random.Random(20260115)
    folder.mkdir()
    broker = Broker(folder / "broker")
    broker.start()
    contender = kind(folder / "own", broker)
    analysers = [Analyser(contender.port, "S", ENDLESS)]
    publisher = Publisher(broker.port, "lab/freezer", ENDLESS, PAUSE)
    load = [publisher] if kind.link == "mqtt" else analysers
    try:
        contender.start()
        for peer in load:
            peer.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.5, 2.0))
            contender.kill()
            contender.start()
        time.sleep(3)
        for peer in load:
            peer.stop()
        told: dict[str | int, float] = {k: float(v) for one in analysers for k, v in one.acknowledged.items()}
        told |= dict.fromkeys(publisher.acknowledged, -80.1)
        eventually(lambda: told.keys() <= {name for name, _ in contender.kept()}, 20)
        rows = list(contender.kept())
    finally:
        for peer in load:
            peer.stop()
        contender.stop()
        broker.stop()
    times = Counter(name for name, _ in rows)
    sent: dict[str | int, float] = {k: float(v) for one in analysers for k, v in one.sent.items()}
    sent |= dict.fromkeys(range(publisher.sent), -80.1)
    wrong = sum(sent.get(name) != value for name, value in rows)
    return len(told), len(times), len(told.keys() - times.keys()), sum(n - 1 for n in times.values()), wrong


def main(kills: int) -> None:
    print(f"{kills} times kill -9\n")
    print(f"{'':<62}{'link':<6}" + "".join(f"{head:>14}" for head in HEADS))
    with tempfile.TemporaryDirectory(prefix="assaygate-compare-") as folder:
        for number, kind in enumerate(CONTENDERS):
            if why := kind.missing():
                print(f"{kind.name:<62}{kind.link:<6}  {why}", flush=True)
                continue
            figures = try_it(kind, Path(folder) / str(number), kills)
            print(f"{kind.name:<62}{kind.link:<6}" + "".join(f"{figure:>14}" for figure in figures), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
