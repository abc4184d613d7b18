"""Any bytes, to every driver and every reader of files: no byte vanishes, and nothing but the agreed errors escapes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import seeds, targets

TARGETS = targets()
cuts = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 3), st.binary(max_size=8)), max_size=6)


@pytest.mark.parametrize("name", TARGETS)
@given(chance=st.data(), head=st.binary(min_size=2, max_size=2), changes=cuts)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes_are_accounted_for(
    name: str, chance: st.DataObject, head: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    """Recordings with bytes lost, changed and put in, cut anywhere; and bytes that are nothing at all."""
    data = bytearray(
        chance.draw(
            st.one_of(
                st.sampled_from(seeds(name)).map(lambda one: one[0 if name.startswith("file-") else 2 : 6000]),
                st.binary(max_size=300),
            )
        )
    )
    for place, lost, put in changes:
        at = place % (len(data) + 1)
        data[at : at + lost] = put
    TARGETS[name]((b"" if name.startswith("file-") else head) + bytes(data))
