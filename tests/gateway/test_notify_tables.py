"""What the tables about telling people may say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config import parse
from gateway.config_errors import ConfigError
from tests.gateway.notify_lab import PEOPLE


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[notifiers]]\nid = "a"\n', 'notifiers[0]: has no urls. Write urls = [{ env = "ONCALL_URL" }].'),
        ('[[notifiers]]\nid = "a"\ntype = "mqtt"\n', 'notifiers[0]: has no broker. Write broker = "bench".'),
        (
            '[[notifiers]]\nid = "a"\ntype = "log"\nretain = true\n',
            "notifiers[0]: retain belongs to type 'mqtt', not 'log'.",
        ),
        (
            PEOPLE + 'quiet = { from = "22:00", until = "7", timezone = "UTC" }\n',
            "notifiers[1].quiet.until: '7' is no time of day. Write \"22:00\".",
        ),
        (
            PEOPLE + 'quiet = { from = "22:00", until = "07:00", timezone = "Asia/Karatschi" }\n',
            "notifiers[1].quiet.timezone: no time zone is called 'Asia/Karatschi'. Did you mean 'Asia/Karachi'?",
        ),
        (
            PEOPLE + 'quiet = { from = "22:00", until = "22:00", timezone = "UTC" }\n',
            "notifiers[1].quiet: covers every hour: nobody would ever be told. Make from and until differ.",
        ),
        (
            PEOPLE + '[alarm_test]\nat = "Mo 9h"\ntimezone = "UTC"\nnotify = ["oncall"]\n',
            "alarm_test: 'Mo 9h' is no moment of a week. Write \"Mon 09:00\".",
        ),
        (
            PEOPLE + '[alarm_test]\nat = "Mon 09:00"\ntimezone = "UTC"\nnotify = ["oncal"]\n',
            "alarm_test.notify: no notifier is called 'oncal'. Did you mean 'oncall'?",
        ),
        (
            PEOPLE
            + '[[alarms]]\nid = "w"\nwhen = { above = 1.0 }\nescalate = [{ after = "5m", notify = ["cheif"] }]\n',
            "alarms[0].escalate[0].notify: no notifier is called 'cheif'. Did you mean 'chief'?",
        ),
        (
            '[[brokers]]\nid = "bench"\nhost = "h"\n[[notifiers]]\nid = "a"\ntype = "mqtt"\nbroker = "bensch"\n'
            'topic = "t"\n',
            "notifiers[0].broker: no broker is called 'bensch'. Did you mean 'bench'?",
        ),
    ],
)
def test_a_wrong_table_is_refused_with_its_remedy(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text)
    (found,) = refused.value.problems
    assert found.split(": ", 1)[1] == problem


def test_the_manual_s_example_loads() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "notify.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)
    devices = '[[devices]]\nid = "freezer-3"\ndriver = "mqtt-json"\nlink = { type = "file", path = "/tmp" }\n'
    config = parse(devices + text)
    assert {one.type for one in config.notifiers} == {"apprise", "mqtt", "sounder", "webhook"}
    assert config.heartbeats
    assert config.alarm_test
