"""Sessions and waits on a virtual clock."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.people import lockout
from gateway.people.lockout import Lockout
from gateway.people.sessions import MOST_EACH, Sessions, key_of


@given(
    st.lists(
        st.tuples(st.sampled_from(["ada", "tess"]), st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1"]),
                  st.floats(0, 2000)),
        max_size=80,
    )
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_waits_grow_have_an_end_and_cannot_keep_a_known_person_out(tries: list[tuple[str, str, float]]) -> None:
    counts, now = Lockout(), 0.0
    for name, address, later in tries:
        now += later
        before = counts.wait(name, address, now, known=False)
        assert 0 <= before <= lockout.LONGEST
        if before:
            assert counts.wait(name, address, now + before, known=False) == 0, (
                "it ends, and trying does not lengthen it"
            )
        else:
            counts.begin(name, address, now, known=False)
    # Whatever strangers did, somebody at an address of their own is heard at once.
    assert counts.wait("ada", "192.0.2.7", now, known=True) == 0


def test_each_wait_is_longer_until_the_longest_and_a_right_password_ends_them() -> None:
    counts, now, waits = Lockout(), 0.0, []
    for _ in range(20):
        waits.append(counts.begin("ada", "10.0.0.1", now, known=True))
        now += waits[-1]
    assert waits[: lockout.FREE - 1] == [0.0] * (lockout.FREE - 1)
    assert (waits[lockout.FREE - 1], waits[-1]) == (lockout.FIRST, lockout.LONGEST)
    assert all(one < other or one == other == waits[-1] for one, other in pairwise(waits[lockout.FREE - 1 :]))
    counts.right("ada", "10.0.0.1")
    assert counts.wait("ada", "10.0.0.1", now, known=False) == 0


def test_one_address_cannot_try_many_names_and_many_addresses_cannot_try_one() -> None:
    counts = Lockout()
    for number in range(lockout.FREE_ADDRESS):
        assert counts.wait(f"n{number}", "2001:db8::1", 0, known=False) == 0
        counts.begin(f"n{number}", f"2001:db8::{number}", 0, known=False)
    assert counts.wait("other", "2001:db8::ffff", 0, known=False) > 0, "a network is one address"
    for number in range(lockout.FREE_NAME):
        counts.begin("ada", f"10.0.0.{number}", 0, known=False)
    assert counts.wait("ada", "10.0.1.1", 0, known=False) > 0
    assert counts.wait("ada", "10.0.1.1", 0, known=True) == 0


def test_the_counts_are_bounded() -> None:
    counts = Lockout()
    for number in range(lockout.MOST):
        counts.begin(f"name {number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0, known=False)
    assert len(counts) <= lockout.MOST


class SessionsOverTime(RuleBasedStateMachine):
    """Sessions against a plain account of who should be signed in."""

    IDLE, LONGEST = 100.0, 500.0

    def __init__(self) -> None:
        super().__init__()
        self.now = 1e9
        self.stamps: dict[str, str] = {"ada": "1", "tess": "1"}
        self.sessions = self.anew()
        self.account: dict[str, tuple[str, str, float, float]] = {}  # token -> name, stamp, began, used

    def anew(self) -> Sessions:
        return Sessions(self.IDLE, self.LONGEST, self.stamps.get)

    def tokens(self) -> Iterator[str]:
        for token, (name, stamp, began, used) in self.account.items():
            in_time = self.now - used < self.IDLE and self.now - began < self.LONGEST
            if in_time and self.stamps.get(name) == stamp:
                yield token

    @rule(name=st.sampled_from(["ada", "tess"]))
    def sign_in(self, name: str) -> None:
        if name not in self.stamps:
            with pytest.raises(KeyError):
                self.sessions.begin(name, "10.0.0.1", self.now)
            return
        standing = [token for token in self.tokens() if self.account[token][0] == name]
        if len(standing) == MOST_EACH:
            return
        token = self.sessions.begin(name, "10.0.0.1", self.now)
        assert len(token) >= 43
        self.account[token] = (name, self.stamps[name], self.now, self.now)

    @precondition(lambda self: self.account)
    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(sorted(self.account)))
        standing = token in set(self.tokens())
        self.sessions.use(key_of(token), self.now)
        if standing:
            name, stamp, began, _ = self.account[token]
            self.account[token] = (name, stamp, began, self.now)

    @precondition(lambda self: self.account)
    @rule(data=st.data())
    def sign_out(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(sorted(self.account)))
        self.sessions.end(key_of(token))
        del self.account[token]

    @rule(seconds=st.floats(0, 200))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for token in set(self.account) - set(self.tokens()):
            self.account.pop(token)
        self.sessions.expire(self.now)

    @rule(name=st.sampled_from(["ada", "tess"]), stamp=st.sampled_from(["1", "2", None]))
    def changed(self, name: str, stamp: str | None) -> None:
        if stamp is None:
            self.stamps.pop(name, None)
        else:
            self.stamps[name] = stamp
        for token in set(self.account) - set(self.tokens()):
            self.account.pop(token)
        self.sessions.expire(self.now)

    @rule()
    def restart(self) -> None:
        kept = orjson.loads(orjson.dumps(self.sessions.dump()))
        assert not any(token in str(kept) for token in self.account)
        self.sessions = self.anew()
        self.sessions.load(kept, self.now)

    @invariant()
    def signed_in_are_those_who_should_be(self) -> None:
        standing = set(self.tokens())
        for token in self.account:
            assert (self.sessions.find(key_of(token), self.now) is not None) == (token in standing)


TestSessionsOverTime = SessionsOverTime.TestCase
TestSessionsOverTime.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_one_person_has_so_many_sessions_and_the_longest_unused_goes() -> None:
    sessions = Sessions(1e6, 1e6, {"ada": "1"}.get)
    tokens = [sessions.begin("ada", "10.0.0.1", float(number)) for number in range(MOST_EACH + 3)]
    assert [sessions.find(key_of(token), 100.0) is not None for token in tokens] == [False] * 3 + [True] * MOST_EACH
