"""Fields with names: what a tag says is declared, what belongs to one result stays with it, pages are checked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.kit.checks import sum8
from drivers.kit.declare import Identity, Message
from drivers.kit.exchange import DecodeError, Reason, Received, Rejected, Send
from drivers.kit.observation import Draft, Kind, Quality
from drivers.kit.pages import crc16
from drivers.tagged_records.driver import DRIVER
from drivers.tagged_records.options import TaggedRecordsOptions

VARIANTS = [variant.name for variant in DRIVER.variants]


def preset(variant: str) -> TaggedRecordsOptions:
    return TaggedRecordsOptions.model_validate(dict(DRIVER.preset(variant).options))


def bci(text: str) -> bytes:
    """A block of bioMerieux's interface: RS and GS written as ~ and #."""
    body = text.replace("~", "\x1e").replace("#", "\x1d").encode("iso8859-1")
    return b"\x02" + body + b"%02x" % sum8(body) + b"\x03"


def decoded(data: bytes, variant: str) -> list[Draft]:
    return list(DRIVER.decode(Message(data), preset(variant)))


def vidas(text: str, variant: str = "mini-vidas") -> list[Draft]:
    return decoded(bci(text), variant)


# ---- VIDAS


def test_a_result_with_a_call_and_its_index() -> None:
    (draft,) = vidas("~mtrsl|~pi|~pn|~si|~ciA-1|~rtTXM|~rnTOXO IgM|~tt14:03|~td05/24/11|~qlNegative|~qn0.12|#")
    assert (draft.test, draft.value, draft.interpretation, draft.specimen) == ("TXM", "0.12", "Negative", "A-1")
    assert (draft.device_time, draft.kind, draft.quality) == ("05/24/11 14:03", Kind.RESULT, Quality.GOOD)
    assert draft.attributes == {"name": "TOXO IgM"}


def test_the_makers_example_with_its_unit_behind_the_value() -> None:
    """VIDAS PC user's manual, chapter 10: the upload of a result."""
    (draft,) = vidas(
        "~mtrsl|pi990519001|pnPATIENT001|pb12/01/1963|psF|so2|si|ci990519001|rtHCG|rnHCG|~tt15:09|td20/05/1999|ql|"
        "qn28,94mUI/ml|y3mUI/ml|qd1:1|ncvalid|#",
        "vidas-pc",
    )
    assert (draft.value, draft.unit, draft.patient) == ("28.94", "mUI/ml", "990519001")
    assert draft.attributes["value_as_sent"] == "28,94"
    assert (draft.device_time, draft.quality) == ("20/05/1999 15:09", Quality.GOOD)
    assert "PATIENT001" not in str(draft.attributes)


def test_a_dot_is_as_good_a_decimal_sign_as_a_comma() -> None:
    (draft,) = vidas("~mtrsl|pi1|ciA|rtDD2|tt17:26|td08/01/2026|ql|qn16830.25 ng/ml|y3ng/ml|qd4|ncvalid|#", "vidas-pc")
    assert (draft.value, draft.unit, draft.device_time) == ("16830.25", "ng/ml", "08/01/2026 17:26")


@pytest.mark.parametrize(
    ("printed", "value", "unit"),
    [("274.0 IU/ml", "274.0", "IU/ml"), ("<1.50 ng/ml", "<1.50", "ng/ml"), ("0.05", "0.05", None)],
)
def test_a_unit_without_a_tag_of_its_own_is_split_off(printed: str, value: str, unit: str | None) -> None:
    (draft,) = vidas(f"~mtrsl|~ciA|~rtFER|~qn{printed}|#")
    assert (draft.value, draft.unit) == (value, unit)


@pytest.mark.parametrize(
    ("status", "quality"),
    [("valid", Quality.GOOD), ("calexp", Quality.UNCERTAIN), ("conthwst", Quality.UNCERTAIN)],
)
def test_what_the_calibration_says_is_the_results_quality(status: str, quality: Quality) -> None:
    (draft,) = vidas(f"~mtrsl|ciA|rtTSH|qn1.2|nc{status}|#")
    assert draft.quality is quality
    with pytest.raises(DecodeError, match="unknown status"):
        vidas("~mtrsl|ciA|rtTSH|qn1.2|ncwhatever|#")


def test_controls_orders_and_unknown_messages_are_no_results() -> None:
    assert [draft.kind for draft in vidas("~mtrsl|ciC1|rtTSH|qn1.2|#")] == [Kind.QC]
    assert vidas("~mtmpr|ciA|rtTSH|#") == []
    with pytest.raises(DecodeError):
        vidas("~mtxyz|ciA|rtTSH|qn1.2|#")
    with pytest.raises(DecodeError):
        vidas("~ciA|rtTSH|qn1.2|#")


def test_results_of_one_message_keep_their_own_values() -> None:
    drafts = vidas("~mtrsl|ciA|rtTSH|tt10:20|qn1.2|y3uUI/ml|rtFT4|tt10:45|qn14.1|y3pmol/l|#")
    assert [(one.test, one.value, one.unit, one.device_time) for one in drafts] == [
        ("TSH", "1.2", "uUI/ml", "10:20"),
        ("FT4", "14.1", "pmol/l", "10:45"),
    ]


def test_an_organism_stays_with_its_antibiotics() -> None:
    drafts = vidas(
        "~mtrsl|piP1|ci10|rtGN|o1escco|o2Escherichia coli|a1am|a2Ampicillin|a3>=32|a4R|"
        "o1klepne|o2Klebsiella|a1am|a2Ampicillin|a38|a4S|#",
        "vitek-2",
    )
    assert [(one.test, one.value, one.interpretation, one.attributes["organism"]) for one in drafts] == [
        ("organism", "escco", None, "Escherichia coli"),
        ("am", ">=32", "resistant", "Escherichia coli"),
        ("organism", "klepne", None, "Klebsiella"),
        ("am", "8", "susceptible", "Klebsiella"),
    ]


def test_a_damaged_block_is_not_acknowledged() -> None:
    block = bci("~mtrsl|ciA|rtTSH|qn1.2|#").replace(b"qn1.2", b"qn1.3")
    events = list(DRIVER.host(preset("mini-vidas")).receive(b"\x05" + block, 0.0))
    assert [event.reply for event in events if isinstance(event, Rejected)] == [b"\x15"]
    assert not [event for event in events if isinstance(event, Received)]


# ---- Mythic, Emerald


def page(*lines: str, crc: int = 0) -> bytes:
    body = "".join(line + "\r" for line in lines).encode()
    return body + b"END_RESULT;%d\r" % (crc or crc16(body))


COUNT = (
    *("EMD22AL;1;250207-000451;LABTECH", "RESULT", "DATE;19/02/2024", "TIME;10:14:49", "MODE;NORMAL", "UNIT;1"),
    *("SEQ;9424", "SID;2600009", "PID;P123", "ID;DOE^JANE", "RACK;2", "POS;1", "OPERATOR;LT"),
    *("WBC;6.9  ;*;;3.7  ;3.7  ;10.1 ;10.1 ", "HGB;14.6;;;12.9;12.9;15.9;15.9", "PCT;0.177;;L;0.220;0.220;0.240;0.240"),
    *(
        "PLT;+++++;;;150;150;450;450",
        "LYM%;39.2 ;;;18.0 ;18.0 ;48.3 ;48.3 ",
        "WBC CURVE;0;1;2;3",
        "WBC THRESHOLDS;32;49;0;",
    ),
    *("ALARMS;L1;N2", "INTERPRETIVE_WBC;ERYB", "LMNE MATRIX;Z5;82;Z2", "THRES 5D LMNE MATRIX;N1Y;20;"),
)


def test_a_count_is_its_lines_and_nothing_of_its_curves() -> None:
    drafts = {draft.test: draft for draft in decoded(page(*COUNT), "cell-dyn-emerald")}
    assert list(drafts) == ["WBC", "HGB", "PCT", "PLT", "LYM%"]
    assert (drafts["WBC"].value, drafts["WBC"].flags, drafts["WBC"].quality) == ("6.9", ("*",), Quality.UNCERTAIN)
    assert (drafts["PCT"].value, drafts["PCT"].flags, drafts["PCT"].quality) == ("0.177", ("L",), Quality.GOOD)
    assert (drafts["PLT"].value, drafts["PLT"].quality) == (None, Quality.BAD)
    assert {(one.specimen, one.patient, one.run, one.operator) for one in drafts.values()} == {
        ("2600009", "P123", "9424", "LT")
    }
    assert drafts["HGB"].device_time == "19/02/2024 10:14:49"
    assert (drafts["HGB"].attributes["low"], drafts["HGB"].attributes["high"]) == ("12.9", "15.9")
    assert "DOE" not in str(drafts["HGB"].attributes)


@pytest.mark.parametrize("mode", ["QC", "CALIBRATION", "REPEATABILITY"])
def test_what_is_not_of_a_sample_is_no_patients_result(mode: str) -> None:
    lines = [f"MODE;{mode}" if line.startswith("MODE") else line for line in COUNT]
    assert {draft.kind for draft in decoded(page(*lines), "cell-dyn-emerald")} == {Kind.QC}


def test_a_calibration_page_says_nothing_and_an_unknown_one_is_not_read() -> None:
    assert decoded(page("EMD22;1;2;x", "CALIBRATION;1;2;3;LOT"), "cell-dyn-emerald") == []
    with pytest.raises(DecodeError):
        decoded(page("EMD22;1;2;x", "SOMETHING", "WBC;6.9;;"), "cell-dyn-emerald")
    with pytest.raises(DecodeError):
        decoded(page("WBC;6.9;;"), "cell-dyn-emerald")


def test_the_conversation_is_answered_and_a_damaged_page_is_refused() -> None:
    host = DRIVER.host(preset("cell-dyn-emerald"))
    said = b"CONNECT;250207-000451;9\r" + b"EMD22AL;1;2;x\rRESULT_READY;7000\r" + page(*COUNT) + b"DISCONNECT;1\r"
    events = list(host.receive(said, 0.0))
    replies = [event.data if isinstance(event, Send) else event.reply for event in events]
    assert [one for one in replies if one] == [b"ACK_CONNECT;9\r", b"ACK_RESULT_READY\r", b"ACK_RESULT;OK\r"]
    (refused,) = (event for event in host.receive(page(*COUNT, crc=1), 9.0) if isinstance(event, Rejected))
    assert (refused.reason, refused.reply) == (Reason.CHECKSUM, b"ACK_RESULT;CRC_ERROR\r")


# ---- Abacus, ABX


def test_the_makers_example_of_numbered_parameters() -> None:
    """Diatron Abacus Plus service manual, 10.2.7."""
    data = (
        b"\x01BD\x02SNO\t152\nDATE\t19980715\nTIME\t114500\nSID\t2\nPID\t26\n"
        b"NAME\tJOE SMITH\nMODE\t0\nWRN\t0\nPM1\t12\n"
        b"PM2\t204\nPARN\t22\nP01\t 6.6\t0\nP02\t4.29\t0\nP03\t 167\t0\nP21\t 8.2\t0\nP22\t 5.3\t0\nAGE\t24\n\x037C\x04"
    )
    (event,) = (one for one in DRIVER.host(preset("diatron-abacus")).receive(data, 0.0) if isinstance(one, Received))
    assert event.raw == data
    drafts = decoded(data, "diatron-abacus")
    assert [(one.test, one.value) for one in drafts] == [
        ("P01", "6.6"), ("P02", "4.29"), ("P03", "167"), ("P21", "8.2"), ("P22", "5.3")
    ]  # fmt: skip
    assert {(one.specimen, one.patient, one.run, one.device_time) for one in drafts} == {
        ("2", "26", "152", "19980715114500")
    }
    assert "JOE" not in str(drafts[0].attributes)


@pytest.mark.parametrize(("kind", "meant"), [("RESULT", Kind.RESULT), ("QC-RES", Kind.QC)])
def test_a_line_a_value_led_by_one_character(kind: str, meant: Kind) -> None:
    text = (
        f"\x0200368\r\xff {kind}  \rp 23\rq 15/01/26 10h23mn12s\ru 0000000000004711\rs 0012\rv          \rt M\r\x80 D\r"
        "! 007.3 h\r2 04.80  \r3 --.--  \r4  .412 l\rW &*.,2;P\rS       \r_ 105\r\x03"
    )
    drafts = decoded(text.encode("latin-1"), "abx")
    assert [(one.test, one.quantity, one.value, one.flags, one.quality) for one in drafts] == [
        ("!", "wbc", "007.3", ("H",), Quality.GOOD),
        ("2", "rbc", "04.80", (), Quality.GOOD),
        ("3", "hgb", None, (), Quality.BAD),
        ("4", "hct", ".412", ("L",), Quality.GOOD),
    ]
    assert {(one.kind, one.specimen) for one in drafts} == {(meant, "0000000000004711")}
    assert drafts[0].attributes["printed_time"] == "15/01/26 10h23mn12s"
    for lost in ("! 07.3 h", "! 007.3h", "4 .412 l"):
        with pytest.raises(DecodeError, match="characters behind"):
            decoded(text.replace("! 007.3 h" if lost[0] == "!" else "4  .412 l", lost).encode("latin-1"), "abx")


def test_a_message_is_folded_within_a_field() -> None:
    """As Vitek 2 and BCI Link send: each line of 80 characters begins with RS, whatever it cuts."""
    text = (
        "mtrsl|iiV2|itSU|pi10886916|pnQx|si|s0102|s101/15/2026|ci20260115L4|ta|rtAST-GN93|rr85805|t11|o1citfre|"
        "o2Citrobacter freundii|afQUINOLONES|apWILD|ra|a1esbl|a2ESBL|a3Neg|a4-|an-|ra|a1am|a2Ampicillin|a3>=32|a4R|anR|"
        "ra|a1an|a2Amikacin|a3<=2.25|a4S|anS|t12|o1escco|o2Escherichia coli|ra|a1am|a2Ampicillin|a38|a4I|anI|zz|#"
    )
    folded = "".join("~" + text[at : at + 79] for at in range(0, len(text), 79))
    assert "<=2.~25" in folded
    drafts = vidas(folded, "vitek-2")
    said = [(one.test, one.value, one.interpretation, one.attributes["isolate"]) for one in drafts]
    assert said == [
        ("organism", "citfre", None, "1"),
        ("esbl", "Neg", None, "1"),
        ("am", ">=32", "resistant", "1"),
        ("an", "<=2.25", "susceptible", "1"),
        ("organism", "escco", None, "2"),
        ("am", "8", "intermediate", "2"),
    ]
    assert {(one.specimen, one.run, one.attributes["card"], one.device_time) for one in drafts} == {
        ("20260115L4", "85805", "AST-GN93", None)
    }
    assert [one.attributes.get("an") for one in drafts] == [None, "-", "R", "S", None, "I"]
    assert "Qx" not in str([one.attributes for one in drafts])


# ---- anything


@given(body=st.binary(max_size=300))
@pytest.mark.parametrize("variant", VARIANTS)
def test_any_bytes_are_read_or_refused(variant: str, body: bytes) -> None:
    options = preset(variant)
    for data in (body, options.shape.write(body), options.shape.write(options.print.encode("latin-1") + body)):
        try:
            list(DRIVER.decode(Message(data), options))
        except DecodeError:
            continue


@given(value=st.decimals(0, 900, places=2))
@pytest.mark.parametrize("variant", ["mini-vidas", "vitek-2", "cell-dyn-emerald", "diatron-abacus", "abx"])
def test_what_is_sent_is_read(variant: str, value: Decimal) -> None:
    assume(variant != "abx" or len(str(value)) <= 5)  # it has five columns
    options = preset(variant)
    test = options.analytes[0].test
    block = DRIVER.encode({"time": None, "specimen": "S-1", "results": [{"test": test, "value": str(value)}]}, options)
    (draft,) = DRIVER.decode(Message(block), options)
    assert (draft.test, Decimal(str(draft.value)), draft.specimen) == (test, value, "S-1")


def test_a_message_that_was_broken_off_is_uncertain() -> None:
    message = Message(bci("~mtrsl|ciA|rtTSH|qn1.2|#"), sound=False)
    (draft,) = DRIVER.decode(message, preset("mini-vidas"))
    assert draft.quality is Quality.UNCERTAIN


def test_what_carries_its_date_is_the_same_when_it_arrives_again() -> None:
    assert DRIVER.identity(preset("mini-vidas")) is Identity.CONTENT
    plain = {"tag_width": 2, "groups": [{"begins": "rt", "names": {"rt": "test", "qn": "value"}}]}
    assert DRIVER.identity(TaggedRecordsOptions.model_validate(plain)) is Identity.ARRIVAL


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"tag_width": 0, "groups": [{"begins": "rt", "names": {"rt": "test"}}]},
        {"groups": [{"begins": "", "names": {}}]},
        {"singles": {"parts": ["value"], "tags": "(a+)+"}},
    ],
)
def test_a_declaration_that_cannot_be_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TaggedRecordsOptions.model_validate(table)
