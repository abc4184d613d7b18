"""Instruments that print lines of text: what each kind of line says is declared by patterns, in the configuration."""

from __future__ import annotations

from drivers.kit.text_lines import text_driver
from drivers.text_lines.variants import VARIANTS

DRIVER = text_driver(
    name="text-lines",
    maker="any",
    summary="Instruments that print lines of text or answer in them: balances, meters, probes, baths, small analysers.",
    variants=VARIANTS,
    sources=("The instrument's manual, section on its printer or RS-232 port: the lines it prints",),
    example="""\
[[devices]]
id = "probe-1"
driver = "text-lines"
link = { type = "serial", port = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0", baudrate = 9600 }

[[devices.patterns]]
match = '''T\\s*=\\s*(?P<value>[-+]?\\d+\\.\\d+)\\s*C'''
quantity = "temperature"
unit = "Cel"
low = -40.0
high = 85.0
step = 0.01
suspect = { "85.00" = "uncertain: what the sensor says after power-on", "-127.00" = "bad: no sensor" }
print = "T={value} C"
""",
)
