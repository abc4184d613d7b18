"""LoRaWAN network servers: an envelope around what the decoder made of the device's bytes.

ChirpStack v4 and v3, The Things Stack v3 and the Things Network v2. What no decoder has read is not understood: it is
refused with the reason, never made a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Json, Kind
from drivers.kit.payload import leaves, slug, tidy
from drivers.mqtt_json.options import MqttJsonOptions
from drivers.mqtt_json.readings import TIMES, Stamp, as_number, measures, moment, observe, sensed, text
from drivers.mqtt_json.telling import Dialect, event, mapping, presence, stamped


def _some(said: dict[str, Json], *names: str) -> dict[str, Json]:
    return {name: tidy(said[name]) for name in names if name in said}


def _first(receptions: Json) -> dict[str, Json]:
    return mapping(receptions[0]) if isinstance(receptions, list) and receptions else {}


def _radio(receptions: Json) -> dict[str, Json]:
    """The best reception: gateways hear the same message at different strengths."""
    heard = [one for one in receptions if isinstance(one, dict)] if isinstance(receptions, list) else []
    if not heard:
        return {}
    best = max(heard, key=lambda one: as_number(one.get("rssi")) or -999.0)
    told = {name: tidy(best[name]) for name in ("rssi", "snr", "loRaSNR") if as_number(best.get(name)) is not None}
    return {**told, "gateways": len(heard)}


def _read(decoded: Json, raw: Json, port: Json, options: MqttJsonOptions) -> Iterator[Draft]:
    """What the decoder made. DecodeError where there was none."""
    found = [(place, value, unit) for place, value, unit in measures(decoded) if place]
    # What was stored on the way has its own time beside it: history[0].temperature, history[0].timestamp
    times = {
        parent: moment(value) for place, value, _ in found for parent, _, key in [place.rpartition(".")] if _time(key)
    }
    told = [one for one in found if not _time(one[0].rpartition(".")[2])]
    for place, value, unit in told:
        draft = sensed(place, value, options)
        if unit:
            draft = replace(observe(place, draft.quantity or "value", value, unit), kind=draft.kind)
        parent = place.rpartition(".")[0]
        yield replace(draft, device_time=times.get(parent)) if parent else draft
    if told:
        return
    if isinstance(raw, str) and raw:
        raise DecodeError(f"the network server has no decoder for this device: port {port}, base64 {raw[:100]}")
    yield event("uplink", {"port": tidy(port)})  # it has only shown that it is there


def _time(key: str) -> bool:
    return key.casefold() in TIMES


# -- ChirpStack


def _chirpstack_told(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    said = mapping(payload)
    up = {"fPort", "object", "objectJSON", "data"} & said.keys()
    kind = levels[-1] if "event" in levels[-2:-1] else "up" if up else "state"
    if kind == "up":
        return None
    stamp = _chirpstack_stamp(payload)
    if kind == "status":
        drafts = []
        if as_number(said.get("batteryLevel")) is not None and not said.get("batteryLevelUnavailable"):
            drafts.append(observe("batteryLevel", "battery", said["batteryLevel"], "%", kind=Kind.STATUS))
        drafts.append(replace(event("status", payload, Kind.STATUS), value=as_number(said.get("margin"))))
    else:
        drafts = presence(payload, levels) or [event(kind, payload, value=said.get("code", said.get("type")))]
    return [stamped(draft, stamp, "/".join(levels)) for draft in drafts]


def _chirpstack_stamp(payload: Json) -> Stamp:
    said = mapping(payload)
    info = mapping(said.get("deviceInfo")) or said  # v3 has them outermost
    told = _some(said, "devAddr", "dr", "fPort", "fCnt") | _some(info, "deviceName", "devEui", "devEUI")
    time = text(said.get("time")) or text(_first(said.get("rxInfo")).get("time")) or text(said.get("publishedAt"))
    return Stamp(time, text(said.get("deduplicationId")), {**told, **_radio(said.get("rxInfo"))})


def _chirpstack_found(payload: Json, _levels: Sequence[str], options: MqttJsonOptions) -> Iterator[Draft]:
    said = mapping(payload)
    decoded = said.get("object")
    if decoded is None and isinstance(written := said.get("objectJSON"), str) and written:
        try:
            decoded = json.loads(written)
        except (ValueError, RecursionError):
            raise DecodeError("objectJSON is not JSON") from None
    return _read(decoded, said.get("data"), said.get("fPort", 0), options)


# -- The Things Stack, and what it was before


NORMALIZED: Final = "uplink_normalized"
# What The Things Stack brings the names of decoders to (thethingsindustries.com/docs, Payload Formatters).
_NORMAL_UNITS: Final = {
    "battery": "V",
    "air.temperature": "Cel",
    "air.relativeHumidity": "%",
    "air.pressure": "hPa",
    "air.co2": "[ppm]",
    "air.lightIntensity": "lx",
    "soil.temperature": "Cel",
    "soil.moisture": "%",
}


def _normal(payload: Json) -> Iterator[Draft]:
    for place, value in leaves(payload):
        if not _time(place.rpartition(".")[2]):
            yield observe(place, slug(place), value, _NORMAL_UNITS.get(place))


def _old(payload: Json) -> bool:
    """Version 2, as gateways and bridges still write it."""
    return "dev_id" in mapping(payload) and bool({"payload_raw", "payload_fields"} & mapping(payload).keys())


def _ttn_told(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    said = mapping(payload)
    if {"uplink_message", NORMALIZED} & said.keys() or _old(payload):
        return None
    stamp = Stamp(text(said.get("received_at")) or text(said.get("time")))
    named = next((name for name in ("join_accept", "location_solved", "service_data") if name in said), "")
    test = "/".join(levels[-2:]) if len(levels) > 5 else levels[-1] if levels and not named else "join"
    drafts = presence(payload, levels) or [event("join" if named == "join_accept" else test, payload)]
    return [stamped(draft, stamp, "/".join(levels)) for draft in drafts]


def _ttn_stamp(payload: Json) -> Stamp:
    said = mapping(payload)
    if _old(payload):
        about = mapping(said.get("metadata"))
        time = text(about.get("time"))
        key = f"{time}:{text(said.get('counter')) or '0'}" if time else None
        told = _some(said, "port", "counter", "dev_id", "hardware_serial")
        return Stamp(time, key, {**told, **_radio(about.get("gateways"))})
    up, ids = mapping(said.get("uplink_message") or said.get(NORMALIZED)), mapping(said.get("end_device_ids"))
    time = text(up.get("received_at")) or text(said.get("received_at"))
    count = text(up.get("f_cnt")) or "0"  # fields that are zero are left out
    session = text(up.get("session_key_id"))
    told = _some(up, "f_port", "f_cnt") | _some(ids, "device_id", "dev_eui")
    told |= {"simulated": True} if said.get("simulated") is True else {}
    return Stamp(
        time, f"{session or time}:{count}" if session or time else None, {**told, **_radio(up.get("rx_metadata"))}
    )


def _ttn_found(payload: Json, _levels: Sequence[str], options: MqttJsonOptions) -> Iterator[Draft]:
    said = mapping(payload)
    if _old(payload):
        return _read(said.get("payload_fields"), said.get("payload_raw"), said.get("port", 0), options)
    if NORMALIZED in said:
        return _normal(mapping(said[NORMALIZED]).get("normalized_payload"))
    up = mapping(said.get("uplink_message"))
    return _read(up.get("decoded_payload"), up.get("frm_payload"), up.get("f_port", 0), options)


CHIRPSTACK: Final = Dialect(_chirpstack_told, _chirpstack_stamp, _chirpstack_found)
TTN: Final = Dialect(_ttn_told, _ttn_stamp, _ttn_found)
