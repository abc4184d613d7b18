"""Instruments that do nothing but send: the load of the benchmarks, in a process of its own.

python -m tests.bench.load astm PORT INSTRUMENTS SECONDS   prints {"messages", "seconds", "latency": [p50, p99]} (ms)
python -m tests.bench.load mqtt PORT COUNT                 publishes COUNT at QoS 1
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

ACK = b"\x06"


def frames(instrument: int, number: int) -> list[bytes]:
    """One result message as five frames, one record each."""
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    records = [
        f"H|\\^&|||Bench^{instrument}|||||||P|LIS2-A2|{stamp}",
        f"P|1||PID-{number}",
        f"O|1|B{instrument}-{number}||^^^CRP|R||{stamp}",
        f"R|1|^^^CRP|{number % 200}.{number % 10}|mg/L|0 to 5|N||F||op1||{stamp}|SN{instrument}",
        "L|1|N",
    ]
    built = []
    for index, record in enumerate(records, 1):
        body = f"{index % 8}{record}\r\x03".encode()
        built.append(b"\x02" + body + f"{sum(body) % 256:02X}\r\n".encode())
    return built


async def instrument(port: int, number: int, until: float, latencies: list[float]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0

    async def say(data: bytes) -> None:
        started = time.perf_counter()
        writer.write(data)
        if await reader.readexactly(1) != ACK:
            raise RuntimeError("not acknowledged")
        latencies.append(time.perf_counter() - started)

    while time.monotonic() < until:
        await say(b"\x05")
        for frame in frames(number, sent):
            await say(frame)
        writer.write(b"\x04")
        sent += 1
    writer.close()
    return sent


async def astm(port: int, instruments: int, seconds: float) -> None:
    latencies: list[float] = []
    started = time.monotonic()
    until = started + seconds
    sent = await asyncio.gather(*(instrument(port, n, until, latencies) for n in range(instruments)))
    took = time.monotonic() - started
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * part)] * 1000 for part in (0.5, 0.99))
    print(json.dumps({"messages": sum(sent), "seconds": took, "latency": [p50, p99]}), flush=True)


def publish(port: int, count: int) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "bench-load", protocol=mqtt.MQTTv311)
    client.max_inflight_messages_set(1000)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    last = None
    for number in range(count):
        payload = f'{{"temp":{-80 + number % 100 / 10},"rh":44.7,"n":{number},"id":"SN0042","battery":97,"door":false}}'
        last = client.publish(f"bench/freezer-{number % 50}", payload, 1)
        if number % 2000 == 0:
            last.wait_for_publish(30)
    if last:
        last.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "astm":
        asyncio.run(astm(int(rest[0]), int(rest[1]), float(rest[2])))
    else:
        publish(int(rest[0]), int(rest[1]))
