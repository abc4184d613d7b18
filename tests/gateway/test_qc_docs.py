"""docs/qc.md: its tables load, its commands are as the program takes them, its rules are those there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.cli_qc import qc
from gateway.config import parse
from gateway.qc.options import SECTIONS, ControlOptions
from gateway.qc.westgard import RULES

TEXT = (Path(__file__).parents[2] / "docs" / "qc.md").read_text(encoding="utf-8")
DEVICES = "".join(
    f'[[devices]]\nid = "{name}"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    for name, port in (("chem-1", 5001), ("reader-1", 5002))
)


def test_its_tables_load_and_show_every_kind() -> None:
    config = parse(DEVICES + "".join(re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)))
    assert all(getattr(config, section) for section in SECTIONS)


@pytest.mark.parametrize("key", ControlOptions.model_fields)
def test_it_names_every_key_of_a_control(key: str) -> None:
    assert re.search(rf"\b{key}\b", TEXT)


@pytest.mark.parametrize("rule", RULES)
def test_it_explains_every_rule(rule: str) -> None:
    assert re.search(rf"\| [^|]*\b{re.escape(rule)}\b[^|]*\| .* \|", TEXT)


@pytest.mark.parametrize("line", re.findall(r"^    assaygate qc (.*?)(?:\s+#.*)?$", TEXT, re.MULTILINE))
def test_a_command_is_written_as_the_program_takes_it(line: str) -> None:
    name, *rest = line.split()
    command = qc if name.startswith("-") else qc.commands[name]
    options = {flag for parameter in command.params for flag in parameter.opts}
    assert {word for word in [name, *rest] if word.startswith("-")} <= options
