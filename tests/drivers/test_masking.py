"""Masked recordings: nobody's name, the same results, sound checksums."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

import drivers
from drivers.kit.declare import Message
from drivers.kit.frames import cut, frame, sound_frames
from drivers.kit.masking import Mask
from drivers.kit.recording import Piece, play

RECORDS = (
    b"H|\\^&|||Reader\rP|1||PID-77|| Khan^Ayesha||19870315|F\rO|1|S-100200||^^^CRP\r"
    b"R|1|^^^CRP|12.4|mg/L||H||F||nurse.zhang||20260115093000\rO|2|QC-L1||^^^CRP||||||Q\rR|1|^^^CRP|5.0|mg/L\rL|1|N\r"
)
HL7 = (
    b"\x0bMSH|^~\\&|Reader||||20260115093000||ORU^R01|7|P|2.5\rPID|1||PID-77^^^MRN||Khan^Ayesha||19870315|F\r"
    b"OBR|1||S-100200|CRP\rOBX|1|NM|CRP||12.4|mg/L|||||F\r\x1c\r"
)
POCT1 = b'<OBS.R01><PT><PT.patient_id V="PID-77"/><PT.name>Khan Ayesha</PT.name><OBS.value V="5.4"/></PT></OBS.R01>'
SECRETS = (b"PID-77", b"Khan", b"Ayesha", b"1987", b"S-100200", b"zhang")


def framed(records: bytes, size: int = 40) -> bytes:
    parts = cut(records, size, by_record=False)
    return b"\x05" + b"".join(frame(n, text, end) for n, (text, end) in enumerate(parts, 1)) + b"\x04"


def test_a_masked_astm_conversation_says_the_same_of_nobody() -> None:
    wire = framed(RECORDS)
    masked = Mask(b"key").covered(wire)
    assert len(masked) == len(wire)
    joined = b"".join(masked.split(b"\r\n"))
    driver = drivers.load("astm")
    options = driver.options()
    (message,) = play(driver.host(options), [Piece(0.0, True, masked)])
    assert isinstance(message, Message), message
    assert message.sound
    (first, control) = [d for d in driver.decode(message, options) if d.value is not None]
    assert (first.value, first.unit, first.flags, first.device_time) == ("12.4", "mg/L", ("H",), "20260115093000")
    assert first.specimen not in (None, "S-100200")
    assert (control.specimen, control.kind) == ("QC-L1", "qc")
    said = b"".join(one for one in (message.data, joined))
    assert not [secret for secret in SECRETS if secret in said]


def test_hl7_and_poct1_are_masked_where_they_name_people() -> None:
    for wire, kept in ((HL7, b"12.4"), (POCT1, b'V="5.4"')):
        masked = Mask(b"key").covered(wire)
        assert len(masked) == len(wire)
        assert kept in masked
        assert not [secret for secret in SECRETS if secret in masked]


def test_the_same_text_has_the_same_mask_and_another_key_another() -> None:
    once, again = Mask(b"key").covered(HL7), Mask(b"key").covered(HL7)
    assert once == again != Mask(b"other").covered(HL7)
    both = Mask(b"key").covered(b"O|1|S-42\rO|2|S-42\r")
    first, second = (line.split(b"|")[2] for line in both.split(b"\r")[:2])
    assert first == second != b"S-42"


def test_what_else_is_secret_is_declared() -> None:
    assert b"Zhang" not in Mask(b"key", also=["Dr [A-Z][a-z]+"]).covered(b"2026;Dr Zhang;5.4\r\n")


def test_a_record_a_frame_without_its_cr_is_masked_too() -> None:
    frames = b"".join(frame(n, record) for n, record in enumerate((b"H|\\^&", b"P|1||PID-77", b"L|1|N"), 1))
    masked = Mask(b"key").covered(frames)
    assert len(masked) == len(frames)
    assert b"PID-77" not in masked
    assert sum(1 for _ in sound_frames(masked)) == 3


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_masking_keeps_lengths_times_and_cuts_of_anything(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(min(c, len(data)) for c in cuts)})
    pieces = [Piece(n, n % 2 == 0, data[a:b]) for n, (a, b) in enumerate(pairwise(edges))]
    masked = Mask(b"key").pieces(pieces)
    assert [(p.at, p.incoming, len(p.data)) for p in masked] == [(p.at, p.incoming, len(p.data)) for p in pieces]
