"""That a test which leaves something behind fails: what tests/conftest.py promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

LEAVING = """
import asyncio, socket, subprocess, threading
import pytest

kept = []

async def test_task():
    kept.append(asyncio.create_task(asyncio.sleep(60)))

def test_socket():
    kept.append(socket.socket())

def test_process():
    kept.append(subprocess.Popen(["sleep", "60"]))

def test_file(tmp_path):
    kept.append((tmp_path / "file").open("w"))

def test_thread():
    threading.Thread(target=threading.Event().wait, args=(20,)).start()

@pytest.fixture
async def part():
    kept.append(asyncio.create_task(asyncio.sleep(60)))
    yield

async def test_what_a_fixture_left(part):
    pass

@pytest.fixture
async def tidy_part():
    task = asyncio.create_task(asyncio.sleep(60))
    yield
    task.cancel()

async def test_tidy(tidy_part):
    pass
"""


def test_a_test_that_leaves_something_behind_fails(tmp_path: Path) -> None:
    test = tmp_path / "test_leaving.py"
    test.write_text(LEAVING)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-q", "-c", str(ROOT / "pyproject.toml"), str(test)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    failed = {line.split("::")[1].split()[0] for line in done.stdout.splitlines() if line.startswith("ERROR ")}
    assert failed == {
        "test_task",
        "test_socket",
        "test_process",
        "test_file",
        "test_thread",
        "test_what_a_fixture_left",
    }, done.stdout
    assert "7 passed, 6 errors" in done.stdout
