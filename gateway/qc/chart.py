"""A Levey-Jennings chart as SVG by itself: no script, no font, no style from elsewhere.

Each point stands in standard deviations from the target that was in force when it was judged; where target or SD
changed there is a line across, with the new ones. Violations differ in shape as well as in colour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape as escaped
from typing import Any, Final

WIDTH: Final = 960
HEIGHT: Final = 360
LEFT, RIGHT, TOP, BOTTOM = 56, 20, 44, 46
FARTHEST: Final = 4.5  # SD: farther points stand at the edge, with their z beside them
SHAPES: Final[Mapping[str, tuple[str, str]]] = {  # verdict -> colour, path about 0,0
    "accepted": ("#1b6e3c", "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z"),  # a circle
    "warning": ("#b36b00", "M0,-6L6,5L-6,5z"),  # a triangle
    "rejected": ("#b00020", "M-6,-6L6,6M-6,6L6,-6"),  # a cross
    "collecting": ("#666666", "M-4,-4H4V4H-4z"),  # a square
}


def chart(title: str, points: Sequence[Mapping[str, Any]]) -> str:
    """The SVG of points as `gateway.qc.view.points` gives them; those without a z are left out but counted."""
    drawn = [one for one in points if isinstance(one.get("z"), int | float) and math.isfinite(one["z"])]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" font-family="sans-serif" font-size="12"><title>{escape(title)}</title>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="15">{escape(title)}</text>',
        *_grid(),
        *_targets(drawn),
        *_line(drawn),
        *(_point(one, _x(place, len(drawn)), _y(one["z"])) for place, one in enumerate(drawn)),
        *_dates(drawn),
    ]
    if not drawn:
        parts.append(f'<text x="{WIDTH / 2:g}" y="{HEIGHT / 2:g}" text-anchor="middle">no measurement yet</text>')
    if left := len(points) - len(drawn):
        words = f"{left} without a value are not drawn"
        parts.append(f'<text x="{WIDTH - RIGHT}" y="20" text-anchor="end" fill="#b00020">{words}</text>')
    return "\n".join([*parts, *_legend(), "</svg>\n"])


def escape(text: str) -> str:
    """As XML may carry it: a control character of a name would make the whole chart unreadable."""
    return escaped("".join(one if one.isprintable() else " " for one in text))


def _x(place: int, count: int) -> float:
    return round(LEFT + 14 + (WIDTH - LEFT - RIGHT - 28) * (place / max(1, count - 1)), 1)


def _y(z: float) -> float:
    inside = max(-FARTHEST, min(FARTHEST, z))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return round(middle - inside * (HEIGHT - TOP - BOTTOM) / (2 * FARTHEST), 1)


def _grid() -> list[str]:
    """The mean and 1, 2 and 3 SD on both sides."""
    parts = []
    for sd in range(-3, 4):
        colour, dash = {0: ("#333333", ""), 1: ("#bbbbbb", "2,4"), 2: ("#b36b00", "6,4"), 3: ("#b00020", "")}[abs(sd)]
        y, name = _y(sd), "mean" if sd == 0 else f"{sd:+d} SD"
        parts.append(f'<line class="sd" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:g}" y2="{y:g}" stroke="{colour}" '
                     f'stroke-dasharray="{dash}"/>')  # fmt: skip
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{name}</text>')
    return parts


def _targets(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where another target, SD or lot came in force."""
    parts, former = [], None
    for place, one in enumerate(points):
        now = (one["lot"], one["target"], one["sd"])
        if now == former:
            continue
        x, lot = _x(place, len(points)) - 8, f"lot {one['lot']}, " if one["lot"] else ""
        words = escape(f"{lot}target {one['target']:.6g}, SD {one['sd']:.4g}")
        parts.append(f'<line class="target" x1="{x:g}" x2="{x:g}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#3355aa"/>')
        parts.append(f'<text x="{x + 3:g}" y="{TOP - 6}" fill="#3355aa">{words}</text>')
        former = now
    return parts


def _line(points: Sequence[Mapping[str, Any]]) -> list[str]:
    if len(points) < 2:
        return []
    path = " ".join(f"{_x(place, len(points)):g},{_y(one['z']):g}" for place, one in enumerate(points))
    return [f'<polyline points="{path}" fill="none" stroke="#8899aa"/>']


def _point(one: Mapping[str, Any], x: float, y: float) -> str:
    colour, path = SHAPES.get(one["verdict"], SHAPES["collecting"])
    rules = ", ".join(one["rules"])
    told = f"{one['time']}  {one['value']}  z {one['z']:+.2f}  {one['verdict']}" + (f": {rules}" if rules else "")
    if one.get("reviewed"):
        told += f"  ({one['reviewed']['by']}: {one['reviewed']['why']})"
    mark = (
        f'<path class="{escape(one["verdict"])}" d="{path}" transform="translate({x:g},{y:g})" fill="{colour}" '
        f'stroke="{colour}" stroke-width="2"><title>{escape(told)}</title></path>'
    )
    beside = [*one["new"], *([f"{one['z']:+.1f}"] if one["new"] and abs(one["z"]) > FARTHEST else [])]
    if beside:
        mark += f'<text x="{x + 8:g}" y="{y + 4:g}" fill="{colour}" font-size="10">{escape(" ".join(beside))}</text>'
    return mark


def _dates(points: Sequence[Mapping[str, Any]]) -> list[str]:
    if not points:
        return []
    y = HEIGHT - BOTTOM + 16
    first, last = points[0]["time"], points[-1]["time"]
    return [
        f'<text x="{LEFT}" y="{y}">{escape(first)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{y}" text-anchor="end">{escape(last)}</text>',
    ]


def _legend() -> list[str]:
    parts, x = [], LEFT
    for name, (colour, path) in SHAPES.items():
        y = HEIGHT - 12
        parts.append(f'<path d="{path}" transform="translate({x},{y - 4})" fill="{colour}" stroke="{colour}" '
                     f'stroke-width="2"/><text x="{x + 10}" y="{y}">{name}</text>')  # fmt: skip
        x += 110
    return parts
