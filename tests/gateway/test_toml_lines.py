"""Finding the line a key stands on."""

from __future__ import annotations

from gateway.toml_lines import line_of, lines

TEXT = '''\
# a comment with [brackets]
[gateway]
site = "x"   # ] not a bracket

[[devices]]
id = "a"
link = { type = "tcp", host = "[::1]",
         port = 5 }
tests."^^^SARS" = { quantity = "q" }

[[devices]]
id = "b"
note = """
id = "not a key"
[not.a.table]
"""
readings = [
  { quantity = "t" },
]
[devices.link]
type = "mqtt"
'''


def test_keys_and_tables_have_their_lines() -> None:
    found = lines(TEXT)
    assert line_of(found, ("gateway", "site")) == 3
    assert line_of(found, ("devices", 0, "id")) == 6
    assert line_of(found, ("devices", 0, "link", "port")) == 7
    assert line_of(found, ("devices", 0, "tests", "^^^SARS", "loinc")) == 9
    assert line_of(found, ("devices", 1)) == 11
    assert line_of(found, ("devices", 1, "id")) == 12
    assert line_of(found, ("devices", 1, "readings", 0, "quantity")) == 17
    assert line_of(found, ("devices", 1, "link", "type")) == 21
    assert line_of(found, ("nowhere",)) == 1
