"""What births said of the metrics in a DATA message, written behind its topic so that the message can be read alone.

    spBv1.0/lab/DDATA/edge/freezer#7=Temperature:10:%C2%B0C&=Door:11

`#` cannot stand in a topic, so what is before it is the topic as received. Then items with `&` between them:

    7=NAME:DATATYPE[:UNIT]   the metric with alias 7        gap=1         messages before this one are missing
    =NAME:DATATYPE[:UNIT]    the metric of that name        late=N        a death of an earlier session; now it is N
                                                            device=NAME   was there when its node died

Names and units are percent-encoded but for letters, digits and `_.-~/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from drivers.kit.exchange import DecodeError
from drivers.kit.sparkplug import Known


@dataclass(frozen=True, slots=True)
class Notes:
    """What stands behind a topic."""

    topic: str
    aliases: Mapping[int, Known] = field(default_factory=dict)
    names: Mapping[str, Known] = field(default_factory=dict)
    gap: bool = False
    late: int | None = None
    devices: tuple[str, ...] = ()

    def look(self, alias: int | None, name: str | None) -> Known | None:
        """What is known of a metric."""
        if name is not None:
            return self.names.get(name)
        return None if alias is None else self.aliases.get(alias)


def written(topic: str, items: Iterable[str]) -> str:
    """A topic with what is to stand behind it."""
    joined = "&".join(items)
    return f"{topic}#{joined}" if joined else topic


def metric(alias: int | None, known: Known) -> str:
    """The item of one metric: by its alias, or by its name."""
    unit = f":{quote(known.unit)}" if known.unit else ""
    return f"{'' if alias is None else alias}={quote(known.name)}:{known.datatype}{unit}"


def device(name: str) -> str:
    return f"device={quote(name)}"


def parse(channel: str) -> Notes:
    """A channel read. DecodeError where it is not of this form."""
    topic, _, rest = channel.partition("#")
    aliases: dict[int, Known] = {}
    names: dict[str, Known] = {}
    devices: list[str] = []
    gap, late = False, None
    for item in rest.split("&") if rest else ():
        key, _, said = item.partition("=")
        if key == "gap":
            gap = True
        elif key == "late" and said.isascii() and said.isdigit():
            late = int(said)
        elif key == "device":
            devices.append(unquote(said))
        else:
            name, *more = said.split(":")
            if not more or not more[0].isdigit() or not (key == "" or (key.isascii() and key.isdigit())):
                raise DecodeError(f"not a Sparkplug channel: {item[:60]!r}")
            known = Known(unquote(name), int(more[0]), unquote(more[1]) if more[1:] else "")
            if key:
                aliases[int(key)] = known
            else:
                names[known.name] = known
    return Notes(topic, aliases, names, gap, late, tuple(devices))
