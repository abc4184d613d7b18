"""What the README says is so: its examples load and run, its commands exist, the tests it names are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.kit.declare import Driver, Message
from gateway.cli import main
from gateway.config import parse
from gateway.workbench import instruments
from simulators.conformance import Tier, check, earned
from tests.torture.rows import ROWS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("text", blocks("toml"))
def test_a_configuration_example_loads(text: str) -> None:
    assert parse(text).devices


def test_the_driver_example_passes_the_conformance_kit() -> None:
    (text,) = blocks("python")
    space: dict[str, object] = {"__name__": "example"}
    exec(compile(text, "README.md", "exec", dont_inherit=True), space)
    driver = space["DRIVER"]
    assert isinstance(driver, Driver)
    (draft,) = driver.decode(Message(b"T=36.61\r\n"), driver.options())
    assert (draft.quantity, draft.value, draft.unit) == ("temperature", "36.61", "Cel")
    assert earned(check(driver)) is Tier.GOLD


@pytest.mark.parametrize("line", re.findall(r"^    (?:\.venv/bin/)?assaygate (.*?)(?:\s+#.*)?$", README, re.MULTILINE))
def test_a_command_is_written_as_the_program_takes_it(line: str) -> None:
    name, *rest = line.split()
    command = main.commands[name]
    options = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in rest if word.startswith("-")} <= options


NAMED = sorted(set(re.findall(r"`((?:tests|configs|drivers)/[\w./]+)`", README + ARCHITECTURE)))


@pytest.mark.parametrize("name", NAMED)
def test_a_file_it_names_is_there(name: str) -> None:
    assert (ROOT / name).exists()


PROMISE = (ROOT / "docs" / "promise.md").read_text(encoding="utf-8")
PROVEN = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PROMISE)
NAMED_ROWS = re.findall(r"`\[([^\]`]+)\]`", PROMISE)


@pytest.mark.parametrize("row", NAMED_ROWS)
def test_a_row_that_proves_a_promise_is_there(row: str) -> None:
    assert row in {one.name for one in ROWS}


@pytest.mark.parametrize(("file", "test"), PROVEN, ids=[test for _, test in PROVEN])
def test_what_proves_a_promise_is_there(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_promise_names_its_proof() -> None:
    text = PROMISE.partition("## What is not promised")[0]
    sentences = re.findall(r"^- .*?(?=^- |^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(sentences) > 10
    assert [one for one in sentences if "::test_" not in one and "`[" not in one] == []


def test_every_command_has_help() -> None:
    for name in main.commands:
        done = subprocess.run(
            [sys.executable, "-m", "gateway.cli", name, "--help"], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout


def test_the_table_of_instruments_is_fresh() -> None:
    """`make instruments` writes it."""
    assert (ROOT / "docs" / "instruments.md").read_text(encoding="utf-8") == instruments()
