"""Receivers that do nothing but the least: the limits the gateway is measured against. Run as programs.

python -m tests.bench.bare mqtt-durable PORT DB COUNT   paho with manual acknowledgement, SQLite FULL, group commit
python -m tests.bench.bare mqtt-aiomqtt PORT COUNT      aiomqtt, which acknowledges before anything is stored
python -m tests.bench.bare astm-durable PORT DB         one commit a frame, then ACK
Each prints a line when it is ready and, the MQTT ones, messages a second when COUNT have come.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import sys
import threading
import time

import aiomqtt
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

TOPIC = "bench/#"
ACK = b"\x06"


def open_db(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(
        "CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT, at INTEGER, data BLOB)"
    )
    return db


def mqtt_durable(port: int, path: str, count: int) -> None:
    db = open_db(path)
    arrived: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, "bare", clean_session=False, manual_ack=True, protocol=mqtt.MQTTv311
    )
    client.on_message = lambda _c, _u, message: arrived.put(message)
    client.on_connect = lambda c, *_: c.subscribe(TOPIC, 1)
    client.connect("127.0.0.1", port)
    threading.Thread(target=client.loop_forever, daemon=True).start()
    print("ready", flush=True)
    done, started = 0, 0.0
    while done < count:
        batch = [arrived.get()]
        started = started or time.perf_counter()
        while len(batch) < 1000:
            try:
                batch.append(arrived.get_nowait())
            except queue.Empty:
                break
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT INTO raw (channel, at, data) VALUES (?,?,?)", [(m.topic, time.time_ns(), m.payload) for m in batch]
        )
        db.execute("COMMIT")
        for message in batch:
            client.ack(message.mid, message.qos)
        done += len(batch)
    print(count / (time.perf_counter() - started), flush=True)


async def mqtt_aiomqtt(port: int, count: int) -> None:
    async with aiomqtt.Client("127.0.0.1", port, identifier="bare-aio", clean_session=False) as client:
        await client.subscribe(TOPIC, qos=1)
        print("ready", flush=True)
        done, started = 0, 0.0
        async for _message in client.messages:
            started = started or time.perf_counter()
            done += 1
            if done == count:
                break
    print(count / (time.perf_counter() - started), flush=True)


async def astm_durable(port: int, path: str) -> None:
    db = open_db(path)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer = b""
        while data := await reader.read(65536):
            buffer += data
            while buffer:
                if buffer[:1] == b"\x05":
                    writer.write(ACK)
                    buffer = buffer[1:]
                elif buffer[:1] == b"\x02":
                    end = buffer.find(b"\n")
                    if end < 0:
                        break
                    db.execute(
                        "INSERT INTO raw (channel, at, data) VALUES ('', ?, ?)", (time.time_ns(), buffer[: end + 1])
                    )
                    writer.write(ACK)
                    buffer = buffer[end + 1 :]
                else:
                    buffer = buffer[1:]

    server = await asyncio.start_server(converse, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "mqtt-durable":
        mqtt_durable(int(rest[0]), rest[1], int(rest[2]))
    elif what == "mqtt-aiomqtt":
        asyncio.run(mqtt_aiomqtt(int(rest[0]), int(rest[1])))
    else:
        asyncio.run(astm_durable(int(rest[0]), rest[1]))
