"""How a report's page looks: light, dark, and on A4."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1d21; --soft: #565e68; --line: #cfd5dc; --trace: #1f5fa8;
  --out: #c62828; --out-fill: #f6c9c5; --unknown: #8a929c; --fill: #eef1f4; --good: #1b6b34; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8ebee; --soft: #a9b2bc; --line: #3a424b;
  --trace: #7db4f0; --out: #ff8a80; --out-fill: #5c2420; --unknown: #7b8590; --fill: #20252a; --good: #7fd49a; } }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --trace: #1f5fa8;
  --out: #b71c1c; --out-fill: #f6c9c5; --unknown: #777; --fill: #f1f1f1; --good: #1b6b34; } }
@page { size: A4; margin: 14mm 12mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 70rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
p { margin: .3rem 0; color: var(--soft); max-width: 60rem; }
.verdict { font-size: 1.1rem; font-weight: 600; color: var(--ink); border-inline-start: .3rem solid var(--good);
  padding: .4rem .8rem; background: var(--fill); margin: .8rem 0; }
.verdict.bad { border-color: var(--out); }
figure { margin: 1rem 0 0; } figcaption { color: var(--soft); font-size: .85rem; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 12px; }
.frame { fill: none; stroke: var(--line); } .grid { stroke: var(--line); stroke-width: .7; }
.trace { fill: var(--trace); stroke: var(--trace); stroke-width: 1.3; stroke-linejoin: round; }
.out { fill: var(--out-fill); } .limit { stroke: var(--out); stroke-dasharray: 6 4; }
svg .limit-word { fill: var(--out); } a { color: var(--trace); }
.unknown { fill: url(#hatch); } .hatch { stroke: var(--unknown); stroke-width: 1.6; }
.alarm { fill: var(--out); stroke: var(--paper); stroke-width: .8; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-size: .92rem; }
th, td { text-align: start; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; min-width: 3.5rem; } td > bdi:not(.n) { display: inline-block; min-width: 5.5rem; }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 400; color: var(--soft); width: min(16rem, 35%); }
.n { white-space: nowrap; font-variant-numeric: tabular-nums; unicode-bidi: isolate; }
.wide { overflow-x: auto; } footer { margin-top: 2rem; color: var(--soft); font-size: .85rem; }
@media print { body { padding: 0; max-width: none; font-size: 9pt; } h2 { margin-top: 1.2rem; break-after: avoid; }
  thead { display: table-header-group; } tr, figure { break-inside: avoid; } .wide { overflow: visible; }
  table { font-size: 8pt; } th, td { padding-inline-end: .35rem; } }
"""
