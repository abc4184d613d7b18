"""Each way to tell people, against a real receiver at its end: a mail server, an HTTP server, a program that sounds."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import importlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.alarms.options import AlarmOptions
from gateway.alarms.states import Transition
from gateway.config import Config, parse
from gateway.notify.delivery import Notifications
from gateway.notify.heartbeat import Heartbeat
from tests.gateway.notify_lab import START, Lab
from tests.gateway.receivers import mail_server, web
from tests.system.daemon import free_port


async def eventually(true: Callable[[], bool], within: float = 60.0) -> bool:
    """Whether it comes true in time (seconds)."""
    end = time.monotonic() + within
    while not true():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True


class Told(Lab):
    """Alarms on a clock of the test's own, told by the real ways."""

    def __init__(self, config: str) -> None:
        super().__init__(config)
        self.notifications = Notifications(parse(config))
        self.dispatch = self.notifications  # type: ignore[assignment]

    def look(self) -> None:
        self.notifications.tick(self.now, list(self.open.values()))
        self.kept += self.notifications.records()


@asynccontextmanager
async def told(config: str) -> AsyncIterator[Told]:
    lab = Told(config)
    task = asyncio.create_task(lab.notifications.run())
    try:
        yield lab
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def notifier(kind: str, more: str, name: str = "oncall") -> str:
    return f'[[notifiers]]\nid = "{name}"\ntype = "{kind}"\n{more}\n'


# ---- mail, through apprise


MAIL = notifier("apprise", 'urls = [{ env = "ONCALL_URL" }]')


@pytest.fixture(autouse=True)
def no_threads_of_the_library() -> Iterator[None]:
    """apprise keeps its threads for the whole run."""
    yield
    if "apprise" in sys.modules:
        library: Any = importlib.import_module("apprise.apprise")
        library.get_shared_executor().shutdown()
        library._shared_executor = None


def mailbox(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"mailto://127.0.0.1:{port}?from=gateway@lab.example&to=oncall@lab.example&mode=insecure"
    monkeypatch.setenv("ONCALL_URL", address)


async def test_a_letter_arrives_and_nothing_an_instrument_says_becomes_markup_or_a_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with mail_server() as mail, told(MAIL) as lab:
        mailbox(mail.port, monkeypatch)
        lab.rise("warm", title="Warm\r\nBcc: everybody@example.org", text="<script>alert(1)</script> & more")
        lab.wait(5)
        assert await eventually(lambda: bool(mail.letters))
        assert await eventually(lambda: not lab.notifications.dump()["outboxes"]["oncall"]["waiting"])
    (letter,) = mail.letters
    assert mail.recipients == ["oncall@lab.example"]
    assert letter["Bcc"] is None
    assert " ".join(letter["Subject"].split()) == "HIGH raised: Warm Bcc: everybody@example.org freezer-3 temperature"
    assert letter.get_content_type() == "text/plain"
    assert " ".join(letter.get_content().split()) == "-60 is above -70 <script>alert(1)</script> & more -- site"


async def test_a_mail_server_that_would_not_have_it_is_no_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server(refuse=True) as mail, told(MAIL) as lab:
        mailbox(mail.port, monkeypatch)
        lab.rise()
        lab.wait(5)
        assert await eventually(lambda: "oncall" in lab.notifications.failing)
        assert lab.notifications.failing["oncall"] == "refused or unreachable"
    assert mail.letters == []


@pytest.mark.parametrize(
    "address",
    ["nonsense://hush@nowhere/", "mailto://user:hush@127.0.0.1:1?mode=insecure", "json://u:hush@127.0.0.1:1/"],
)
async def test_an_address_appears_nowhere(
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("ONCALL_URL", address)
    lab = Told(MAIL)
    why = await lab.notifications.test("oncall", "op7")
    assert why
    said = [why, str(lab.notifications.records()), str(lab.notifications.dump()), caplog.text, *capfd.readouterr()]
    assert not any("hush" in one for one in said)


async def test_of_two_addresses_the_one_that_works_is_told_once_while_the_other_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = free_port()
    with web() as works:
        monkeypatch.setenv("ONE_URL", f"json://127.0.0.1:{works.port}/")
        monkeypatch.setenv("TWO_URL", f"json://127.0.0.1:{there}/")
        async with told(notifier("apprise", 'urls = [{ env = "ONE_URL" }, { env = "TWO_URL" }]')) as lab:
            lab.rise()
            lab.wait(5)
            assert await eventually(lambda: "oncall" in lab.notifications.failing)
            with web(there) as late:
                assert await eventually(lambda: bool(late.asked))
                assert await eventually(lambda: not lab.notifications.failing)
        assert (len(works.asked), len(late.asked)) == (1, 1)


async def test_a_secret_that_is_not_there_is_named_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONCALL_URL", raising=False)
    assert await Told(MAIL).notifications.test("oncall", "op7") == "the environment variable ONCALL_URL is not set"


# ---- webhook


HOOK = notifier("webhook", 'url = { env = "HOOK_URL" }\nsecret = { env = "HOOK_KEY" }')


async def test_a_webhook_is_signed_and_says_what_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", "k3y")
    with web() as there:
        monkeypatch.setenv("HOOK_URL", there.url)
        async with told(HOOK) as lab:
            lab.rise("warm", priority="critical")  # and no tick: the engine may wait for a disk
            assert await eventually(lambda: bool(there.asked))
    (asked,) = there.asked
    stamp = asked.headers["X-Assaygate-Timestamp"]
    right = hmac.new(b"k3y", f"{stamp}.".encode() + asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["X-Assaygate-Signature"] == f"sha256={right}"
    assert START + 1 < int(stamp) < START + 60
    assert (asked.method, asked.path) == ("POST", "/told?key=hush")
    assert asked.said["title"] == "CRITICAL raised: warm freezer-3 temperature"
    (alarm,) = asked.said["alarms"]
    assert (alarm["alarm"], alarm["what"], alarm["priority"]) == ("warm", "raised", "critical")
    assert alarm["event"] == "warm@2026-03-02T12:00:00Z:raised"


async def test_a_webhook_follows_nowhere_and_says_why_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", "k3y")
    with web() as there, web() as elsewhere:
        monkeypatch.setenv("HOOK_URL", there.url)
        there.status, there.headers = 307, {"Location": elsewhere.url}
        assert await Told(HOOK).notifications.test("oncall", "op7") == "answered 307"
        there.status, there.headers = 503, {}
        assert await Told(HOOK).notifications.test("oncall", "op7") == "answered 503"
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("file:///etc/passwd", "its address is not http or https"),
        ("http://[broken/hush", "unreachable (InvalidUrlClientError)"),
        ("http://127.0.0.1:1/hush", "unreachable (ClientConnectorError)"),
    ],
)
async def test_a_webhook_that_cannot_be_reached_names_no_address(
    address: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_URL", address)
    monkeypatch.setenv("HOOK_KEY", "k3y")
    found = await Told(HOOK).notifications.test("oncall", "op7")
    assert found == why or ("broken" in address and found.startswith("unreachable (") and "hush" not in found)


async def test_with_the_way_gone_local_ones_go_on_and_what_is_still_true_is_sent_when_it_returns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port, heard = free_port(), tmp_path / "heard"
    monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:{port}/")
    monkeypatch.setenv("HOOK_KEY", "k3y")
    bell = notifier("sounder", f'command = ["/bin/sh", "-c", "echo rung >> {heard}"]\nrepeat = "1s"', "bell")
    async with told(HOOK + bell) as lab:
        lab.rise("warm", notify=["oncall", "bell"])
        lab.rise("passing", notify=["oncall", "bell"])
        lab.wait(5)
        assert await eventually(heard.exists), "the sounder sounds all the same"
        assert await eventually(lambda: "oncall" in lab.notifications.failing)
        assert "bell" not in lab.notifications.failing
        lab.fall("passing")
        lab.wait(3600, 60)
        with web(port) as there:
            assert await eventually(lambda: bool(there.asked))
            assert await eventually(lambda: not lab.notifications.failing)
            lab.fall("warm")
            lab.wait(5)
            assert await eventually(lambda: len(there.asked) > 1)
    first, last = there.asked
    assert [(one["alarm"], one["what"]) for one in first.said["alarms"]] == [
        ("warm", "raised"), ("passing", "over meanwhile"),
    ]  # fmt: skip
    assert [(one["alarm"], one["what"]) for one in last.said["alarms"]] == [("warm", "cleared")]
    assert lab.actions()["notify.failed"] >= 1


async def test_a_notifier_that_is_stuck_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and never answers."""
    hung = asyncio.Event()

    async def converse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hung.wait()
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    monkeypatch.setenv("STUCK_URL", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    monkeypatch.setenv("HOOK_KEY", "k3y")
    stuck = notifier("webhook", 'url = { env = "STUCK_URL" }', "stuck")
    with web() as there:
        monkeypatch.setenv("HOOK_URL", there.url)
        async with server, told(stuck + HOOK) as lab:
            lab.rise(notify=["stuck", "oncall"])
            lab.wait(5)
            assert await eventually(lambda: bool(there.asked))
            hung.set()


# ---- sounder


def sounder(script: Path, body: str, more: str = "") -> str:
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o700)
    return notifier("sounder", f'command = ["{script}", "a word; not a command"]\nrepeat = "1s"\n{more}', "bell")


def rung(heard: Path) -> int:
    return len(heard.read_text().splitlines()) if heard.exists() else 0


async def test_a_sounder_sounds_until_somebody_acknowledges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCALL_URL", "hush")
    heard = tmp_path / "heard"
    config = sounder(tmp_path / "ring", f'echo "$1 | $ASSAYGATE_TITLE | $ONCALL_URL" >> {heard}')
    async with told(config) as lab:
        lab.rise(notify=["bell"])
        lab.wait(1)
        assert await eventually(lambda: rung(heard) >= 3), "again and again"
        lab.fall()
        lab.wait(1)
        count = rung(heard)
        assert await eventually(lambda: rung(heard) > count), "that it went by itself does not silence it"
        lab.acknowledge()
        lab.wait(1)
        assert await eventually(lambda: lab.notifications.dump()["unacknowledged"] == {})
        count = rung(heard)
        lab.rise("again", notify=["bell"])
        lab.wait(1)
        assert await eventually(lambda: rung(heard) > count)
    lines = heard.read_text().splitlines()
    assert lines[0] == "a word; not a command | HIGH raised: warm freezer-3 temperature | "
    assert lines[-1].startswith("a word; not a command | HIGH raised: again")


async def test_an_acknowledgement_ends_a_sound_in_its_midst_with_all_it_started(tmp_path: Path) -> None:
    heard, ended = tmp_path / "heard", tmp_path / "ended"
    config = sounder(
        tmp_path / "ring", f"echo $$ >> {heard}; (sleep 60; echo no >> {ended}) & sleep 60", 'limit = "5m"'
    )
    async with told(config) as lab:
        lab.rise(notify=["bell"])
        lab.wait(1)
        assert await eventually(lambda: rung(heard) == 1)
        group = int(heard.read_text())
        lab.acknowledge()  # and no tick
        assert await eventually(lambda: not _runs(group))
    assert not ended.exists()


async def test_a_mute_silences_it_until_the_next_new_alarm(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    async with told(sounder(tmp_path / "ring", f"echo rung >> {heard}; sleep 60", 'limit = "5m"')) as lab:
        lab.rise("warm", notify=["bell"])
        lab.wait(1)
        assert await eventually(lambda: rung(heard) == 1)
        lab.notifications.mute("bell", "op7")
        lab.wait(60)
        assert lab.notifications.dump()["outboxes"]["bell"]["muted_until"] > lab.now
        lab.rise("another", notify=["bell"])
        lab.wait(1)
        assert await eventually(lambda: rung(heard) == 2)
    muted = [details for action, details in lab.kept if action == "notify.muted"]
    assert [one["by"] for one in muted] == ["op7"]


@pytest.mark.parametrize(
    ("body", "why"),
    [("exit 3", "its command ended with 3"), ("sleep 60", "its command did not end within 0.2 s")],
)
async def test_a_sounder_that_does_not_work_is_a_failing_notifier(tmp_path: Path, body: str, why: str) -> None:
    async with told(sounder(tmp_path / "ring", body, 'limit = "200ms"')) as lab:
        assert await lab.notifications.test("bell", "op7") == why
        lab.rise(notify=["bell"])
        lab.wait(1)
        assert await eventually(lambda: lab.notifications.failing.get("bell") == why)


async def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    config = notifier("sounder", f'command = ["{tmp_path / "nothing"}"]', "bell")
    assert "cannot be run" in await Told(config).notifications.test("bell", "op7")


def _runs(group: int) -> bool:
    """Whether anything of a process group still runs."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            if int(words[2]) == group and words[0] != "Z":
                return True
    return False


# ---- heartbeat


BEATS = '[[heartbeats]]\nurl = { env = "WATCHER_URL" }\nevery = "5s"\n'


async def test_a_heartbeat_is_given_only_while_readings_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    unwell, kept, now = "", list[tuple[str, dict[str, Any]]](), START

    async def why() -> str:
        return unwell

    with web() as watcher:
        monkeypatch.setenv("WATCHER_URL", watcher.url)
        beat = Heartbeat(config(BEATS).heartbeats[0], why, kept.append, lambda: now)
        await beat.beat()
        unwell = "the journal does not commit"
        await beat.beat()
        await beat.beat()
        unwell = ""
        await beat.beat()
        await beat.beat()
        now += 86_401
        await beat.beat()
        watcher.status = 500
        await beat.beat()
    assert len(watcher.asked) == 5, "none while it is unwell"
    assert [(action, details["why"]) for action, details in kept] == [
        ("heartbeat.sent", ""),
        ("heartbeat.failed", "the journal does not commit"),
        ("heartbeat.sent", ""),
        ("heartbeat.sent", ""),  # once a day
        ("heartbeat.failed", "the watcher was not reached: answered 500"),
    ]
    assert (kept[-1][1]["sent"], kept[-1][1]["failed"]) == (4, 3)
    assert "hush" not in str(kept)


async def test_a_heartbeat_stops_when_nothing_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = asyncio.Event()
    monkeypatch.setattr("gateway.notify.delivery.COMMIT", 0.05)

    async def commit() -> None:
        await stuck.wait()

    with web() as watcher:
        monkeypatch.setenv("WATCHER_URL", watcher.url)
        notifications = Notifications(config(BEATS), {}, commit)
        task = asyncio.create_task(notifications.run())
        assert await eventually(lambda: notifications.unsaved)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    (record,) = notifications.records()
    assert record[1]["why"] == "the journal does not commit"
    assert watcher.asked == []


def config(text: str) -> Config:
    return parse(text)


async def test_what_a_former_version_kept_does_not_stop_the_alarms() -> None:
    notifications = Notifications(parse(MAIL), [{"notifier": "oncall", "alarm": "x"}])  # type: ignore[arg-type]
    options = AlarmOptions.model_validate({"id": "warm", "when": {"above": 1.0}, "notify": ["oncall"]})
    lab = Lab(MAIL)
    lab.rise()
    notifications.moved(lab.open["warm"][0], options, Transition.RAISED, START)
    assert notifications.dump()["outboxes"]["oncall"]["waiting"]
