"""POCT1-A messages read: what is a patient's, what is a control's, and nothing guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import load
from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Kind, Quality, Status
from drivers.kit.poct1_messages import Hello, hello, sender
from drivers.kit.xmltree import parse

POCT = load("poct1a")
NOVA = Hello("NOVABIO", "StatStrip", "0699", "SITE^ICU", "", "").channel
GLUCOSE = '<OBS><OBS.observation_id V="GLU"/><OBS.value V="5.4" U="mmol/L"/></OBS>'


def read(text: str, channel: str = "", **options: Any) -> list[Draft]:
    return list(POCT.decode(Message(text.encode(), channel), POCT.options(**options)))


def observed(
    inside: str, root: str = "OBS.R01", service: str = "", more: str = "", time: str = "2026-01-15T09:28:30+05:00"
) -> str:
    when = f'<SVC.observation_dttm V="{time}"/>' if time else ""
    head = '<HDR><HDR.control_id V="77"/><HDR.creation_dttm V="2026-01-15T09:30:00+05:00"/></HDR>'
    return f"<{root}>{head}<SVC>{service}{when}{inside}{more}</SVC></{root}>"


def patient(*observations: str) -> str:
    return f'<PT><PT.patient_id V="PID-0001"/>{"".join(observations)}</PT>'


def control(*observations: str) -> str:
    who = '<CTC.name V="Level 1"/><CTC.lot_number V="L42"/><CTC.expiration_date V="2026-12-31"/>'
    return f"<CTC>{who}{''.join(observations)}</CTC>"


def test_the_standards_example() -> None:
    flu = '<OBS><OBS.observation_id V="Flu A" SN="ACME"/><OBS.qualitative_value V="negative"/>'
    flu += '<OBS.method_cd V="M"/></OBS>'
    rest = '<OPR><OPR.operator_id V="op7"/></OPR><RGT><RGT.name V="Flu A+B"/><RGT.lot_number V="140403"/>'
    rest += '<RGT.expiration_date V="2027-04-03"/></RGT>'
    (draft,) = read(observed(patient(flu), service='<SVC.role_cd V="OBS"/><SVC.reason_cd V="NEW"/>', more=rest))
    assert (draft.kind, draft.test, draft.value, draft.interpretation) == (Kind.RESULT, "Flu A", "negative", None)
    assert (draft.patient, draft.operator, draft.lot, draft.lot_expiry) == ("PID-0001", "op7", "140403", "2027-04-03")
    assert (draft.device_time, draft.now) == ("2026-01-15T09:28:30+05:00", "2026-01-15T09:30:00+05:00")
    assert draft.attributes["reagent"] == "Flu A+B"
    assert "reagent_lot" not in draft.attributes
    assert draft.quality is Quality.GOOD


@pytest.mark.parametrize(
    ("root", "role", "inside", "kind"),
    [
        ("OBS.R01", "OBS", patient(GLUCOSE), Kind.RESULT),
        ("OBS.R01", "", patient(GLUCOSE), Kind.RESULT),
        ("OBS.R01", "", GLUCOSE, Kind.RESULT),
        ("OBS.R02", "OBS", control(GLUCOSE), Kind.QC),
        ("OBS.R02", "", patient(GLUCOSE), Kind.QC),
        ("OBS.R01", "OBS", control(GLUCOSE), Kind.QC),
        ("OBS.R01", "LQC", patient(GLUCOSE), Kind.QC),
        ("OBS.R01", "CAL", patient(GLUCOSE), Kind.QC),
        ("OBS.R01", "OBS", "<CTC><CTC.name V='x'/></CTC>" + patient(GLUCOSE), Kind.QC),
        ("OBS.R09", "OBS", patient(GLUCOSE), Kind.QC),
    ],
)
def test_only_what_nothing_says_is_a_control_is_a_patients(root: str, role: str, inside: str, kind: Kind) -> None:
    (draft,) = read(observed(inside, root, f'<SVC.role_cd V="{role}"/>' if role else ""))
    assert (draft.kind, draft.value, draft.unit, draft.quality) == (kind, "5.4", "mmol/L", Quality.GOOD)


@pytest.mark.parametrize("name", ["Procedural Control", "Internal control", "IQC"])
def test_a_cartridges_own_control_is_no_patients_result(name: str) -> None:
    own = f'<OBS><OBS.observation_id V="{name}"/><OBS.qualitative_value V="Valid"/></OBS>'
    assert [draft.kind for draft in read(observed(patient(GLUCOSE, own)))] == [Kind.RESULT, Kind.STATUS]
    assert [draft.kind for draft in read(observed(control(own), root="OBS.R02"))] == [Kind.QC]


def test_an_unknown_role_is_no_patients_result() -> None:
    (draft,) = read(observed(patient(GLUCOSE), service='<SVC.role_cd V="ZZZ"/>'))
    assert (draft.kind, draft.quality) == (Kind.QC, Quality.UNCERTAIN)


def test_a_control_has_its_own_lot() -> None:
    reagent = '<RGT><RGT.lot_number V="R1"/></RGT>'
    (draft,) = read(observed(control(GLUCOSE), "OBS.R02", more=reagent))
    assert (draft.lot, draft.lot_expiry, draft.patient) == ("L42", "2026-12-31", None)
    assert (draft.attributes["reagent_lot"], draft.attributes["control"]) == ("R1", "Level 1")


def test_two_patients_in_one_service_keep_their_results() -> None:
    other = '<PT><PT.patient_id V="PID-0002"/><OBS><OBS.observation_id V="GLU"/><OBS.value V="9"/></OBS></PT>'
    told = [(draft.patient, draft.value) for draft in read(observed(patient(GLUCOSE) + other))]
    assert told == [("PID-0001", "5.4"), ("PID-0002", "9")]
    (loose, *_rest) = read(observed(patient() + other.replace("GLU", "X") + GLUCOSE))
    assert (loose.patient, loose.value) == (None, "5.4")  # whose it is cannot be told


@pytest.mark.parametrize(
    ("inside", "value", "unit", "call", "comparator"),
    [
        ('<OBS.value V="&lt;0.5" U="ng/mL"/>', "<0.5", "ng/mL", None, None),
        ('<OBS.value V="20" U="mg/dL"/><OBS.interpretation_cd V="&lt;"/>', "20", "mg/dL", None, "<"),
        ('<OBS.value V="&gt;600" U="mg/dL"/><OBS.interpretation_cd V="&gt;"/>', ">600", "mg/dL", None, None),
        ('<OBS.value V="1.8"/><OBS.qualitative_value V="positive"/>', "1.8", None, "positive", None),
        ('<OBS.qualitative_value V="260385009" SN="SCT" DN="Negative"/>', "260385009", None, "Negative", None),
        ('<OBS.value V="" U="g/L">12.4</OBS.value>', "12.4", "g/L", None, None),
        ('<OBS.value V="60,96" U="%"/>', "60,96", "%", None, None),
    ],
)
def test_values_as_sent(inside: str, value: str, unit: str | None, call: str | None, comparator: str | None) -> None:
    (draft,) = read(observed(patient(f'<OBS><OBS.observation_id V="T"/>{inside}</OBS>')))
    assert (draft.value, draft.unit, draft.interpretation, draft.comparator) == (value, unit, call, comparator)
    assert draft.quality is Quality.GOOD


def test_no_value_says_why() -> None:
    (draft,) = read(observed(patient('<OBS><OBS.observation_id V="T"/><OBS.value NULL="NI"/></OBS>')))
    assert (draft.value, draft.quality, draft.quality_reason) == (
        None,
        Quality.UNCERTAIN,
        "the result has no value: NI",
    )


@pytest.mark.parametrize(
    ("code", "service", "status", "quality"),
    [
        ("A", "", Status.FINAL, Quality.GOOD),
        ("U", "", Status.PRELIMINARY, Quality.GOOD),
        ("D", "", Status.CANCELLED, Quality.BAD),
        ("X", "", Status.CANCELLED, Quality.BAD),
        ("?", "", Status.FINAL, Quality.UNCERTAIN),
        ("A", '<SVC.reason_cd V="EDT"/>', Status.CORRECTED, Quality.GOOD),
        ("A", '<SVC.status_cd V="OVR"/>', Status.FINAL, Quality.UNCERTAIN),
        ("A", '<SVC.reason_cd V="RES"/><SVC.status_cd V="NRM"/>', Status.FINAL, Quality.GOOD),
    ],
)
def test_status(code: str, service: str, status: Status, quality: Quality) -> None:
    one = GLUCOSE.replace("</OBS>", f'<OBS.status_cd V="{code}"/></OBS>')
    (draft,) = read(observed(patient(one), service=service))
    assert (draft.status, draft.quality) == (status, quality)


def test_a_loinc_code_is_taken_only_where_it_can_be_one() -> None:
    def code(attributes: str) -> tuple[str | None, str | None]:
        one = f"<OBS><OBS.observation_id {attributes}/><OBS.value V='1'/></OBS>"
        (draft,) = read(observed(patient(one)))
        return draft.code, draft.quantity

    assert code('V="2341-6" DN="Glu" SN="LN"') == ("loinc:2341-6", "glu")
    assert code('V="34714-6"') == ("loinc:34714-6", None)
    assert code('V="2341-6" SN="ACME"') == (None, None)
    assert code('V="2341-7" SN="LN"') == (None, None)


def test_a_result_sent_again_is_the_same_one() -> None:
    first = observed(patient(GLUCOSE), service='<SVC.reason_cd V="NEW"/>')
    again = first.replace("NEW", "RES").replace('"77"', '"80"').replace("T09:30:00", "T09:41:00")
    (one,), (two,) = read(first, NOVA), read(again, NOVA)
    assert one.identity == two.identity
    for change in (("5.4", "5.5"), ("PID-0001", "PID-0002"), ("09:28:30", "09:28:31"), ("NEW", "EDT"), ("GLU", "KET")):
        (other,) = read(first.replace(*change), NOVA)
        assert other.identity != one.identity, change
    (elsewhere,) = read(first, NOVA.replace("0699", "0700"))
    assert elsewhere.identity != one.identity


def test_without_a_time_the_number_tells_results_apart() -> None:
    (one,), (two,) = (
        read(observed(patient(GLUCOSE), time="")),
        read(observed(patient(GLUCOSE), time="").replace("77", "78")),
    )
    assert one.identity != two.identity
    numbered = observed(patient(GLUCOSE), service='<SVC.sequence_nbr V="12"/>', time="")
    (one,), (two,) = read(numbered), read(numbered.replace('"77"', '"78"'))
    assert (one.identity, one.run) == (two.identity, "12")


def test_who_the_patient_is_stays_in_the_raw_message() -> None:
    who = '<PT.name V="Doe^Jane"><GIV V="Jane"/></PT.name><PT.birth_date V="1970-01-01"/><PT.location V="ICU"/>'
    text = observed(patient(who, GLUCOSE))
    (draft,) = read(text)
    assert draft.attributes["location"] == "ICU"
    assert "Jane" not in repr(draft)
    assert "1970" not in repr(draft)
    (draft,) = read(text, demographics=True)
    assert draft.attributes["PT.name"] == "Doe^Jane"


def test_an_accession_for_a_patient_unknown() -> None:
    text = observed(patient(GLUCOSE).replace("PID-0001", "UNKNOWN"), more='<ORD><ORD.order_id V="ACC-1"/></ORD>')
    (draft,) = read(text, NOVA)
    assert (draft.patient, draft.specimen, draft.attributes["patient_id"]) == (None, "ACC-1", "UNKNOWN")
    assert (draft.attributes["dialect"], draft.attributes["instrument"]) == ("statstrip", "0699")


def test_a_supervisor_behind_the_operator() -> None:
    text = observed(patient(GLUCOSE), more='<OPR><OPR.operator_id V="OP1^SUP9"/></OPR>')
    (draft,) = read(text, NOVA)
    assert (draft.operator, draft.attributes["supervisor"]) == ("OP1", "SUP9")
    (draft,) = read(text)  # of any other maker it is the operator's name
    assert draft.operator == "OP1^SUP9"


def test_an_ampersand_that_is_not_escaped_is_one() -> None:
    text = observed(patient(GLUCOSE), more='<OPR><OPR.operator_id V="A & B &amp; C&x;"/></OPR>')
    (draft,) = read(text)
    assert (draft.value, draft.operator, draft.quality) == ("5.4", "A & B & C&x;", Quality.GOOD)


def test_a_device_is_recognised_by_its_hello_unless_told_otherwise() -> None:
    pixel = Hello("PIX", "", "9", "PIX^HemoScreen^9", "", "HemoScreen").channel
    text = observed(patient(GLUCOSE))
    (draft,) = read(text, pixel)
    assert (draft.specimen, draft.patient) == ("PID-0001", None)
    (draft,) = read(text, pixel, patient=["PT.patient_id"], specimen=["ORD.order_id"])
    assert (draft.specimen, draft.patient) == (None, "PID-0001")
    (draft,) = read(text, pixel, recognise=False)
    assert (draft.specimen, draft.patient) == (None, "PID-0001")
    (draft,) = read(text, "10.0.0.7:50123")
    assert draft.patient == "PID-0001"


def test_offsets_that_mean_nothing() -> None:
    (draft,) = read(observed(patient(GLUCOSE), time="2026-02-22T11:01:29.50-00:00"), utc_offset="ignore")
    assert (draft.device_time, draft.now) == ("2026-02-22T11:01:29.50", "2026-01-15T09:30:00")
    assert draft.attributes["time_as_sent"] == "2026-02-22T11:01:29.50-00:00"


def test_names_that_are_not_utf8() -> None:
    text = observed(patient(GLUCOSE), more='<OPR><OPR.operator_id V="M\xfcller"/></OPR>')
    (draft,) = read(text)
    assert (draft.operator, draft.quality) == ("Müller", Quality.GOOD)
    latin = Message(text.encode("latin-1"))
    (draft,) = POCT.decode(latin, POCT.options())
    assert (draft.operator, draft.value, draft.quality) == ("Müller", "5.4", Quality.UNCERTAIN)
    (draft,) = POCT.decode(latin, POCT.trial(given={"encoding": "cp1252"}))
    assert (draft.operator, draft.quality) == ("Müller", Quality.GOOD)
    said = b'<?xml version="1.0" encoding="ISO-8859-1"?>' + latin.data
    (draft,) = POCT.decode(Message(said), POCT.options())
    assert (draft.operator, draft.quality) == ("Müller", Quality.GOOD)
    with pytest.raises(DecodeError):
        list(POCT.decode(latin, POCT.trial(given={"encoding": "utf-8"})))


def test_prompts_and_notes() -> None:
    asked = '<RSN><RSN.apoc_prompt V="PT Temp F"/><RSN.apoc_content V="97.1"/></RSN><NTE><NTE.text V="late"/></NTE>'
    noted = GLUCOSE.replace("</OBS>", '<NTE><NTE.text V="*"/></NTE><NTE><NTE.text V="hemolysed"/></NTE></OBS>')
    (draft,) = read(observed(patient(noted), more=asked))
    assert draft.attributes["prompts"] == {"PT Temp F": "97.1"}
    assert (draft.flags, draft.attributes["comments"]) == (("*",), "hemolysed")
    assert draft.attributes["service_comments"] == "late"


def test_what_a_device_says_of_itself_is_no_result() -> None:
    device = '<DEV><DEV.vendor_id V="ACME"/><DEV.serial_id V="7"/></DEV>'
    greeting = f'<HEL.R01><HDR><HDR.control_id V="1"/></HDR>{device}</HEL.R01>'
    (draft,) = read(greeting)
    assert (draft.kind, draft.value) == (Kind.STATUS, "ACME")
    again = read(greeting.replace('V="1"', 'V="2"'))
    assert again[0].identity == draft.identity
    (draft,) = read('<DST.R01><HDR/><DST><DST.new_observations_qty V="3"/><DST.condition_cd V="B"/></DST></DST.R01>')
    assert (draft.kind, draft.quantity, draft.value) == (Kind.STATUS, "condition", "B")
    events = '<EVT><EVT.description V="Door" /><EVT.event_dttm V="2026-01-01T00:00:00Z"/><EVT.severity_cd V="W"/></EVT>'
    one, two = read(f"<EVS.R01><HDR/>{events}{events}</EVS.R01>")
    assert (one.kind, one.value, one.device_time, one.attributes["severity"]) == (
        Kind.EVENT,
        "Door",
        "2026-01-01T00:00:00Z",
        "W",
    )
    assert one.identity != two.identity
    (draft,) = read('<ESC.R01><HDR/><ESC><ESC.detail_cd V="CNC"/></ESC></ESC.R01>')
    assert (draft.kind, draft.value) == (Kind.EVENT, "CNC")
    (draft,) = read('<ALERE.AXIS.LOCKSTATUS><HDR/><LCK><LCK.qc_lockout V="T"/></LCK></ALERE.AXIS.LOCKSTATUS>')
    assert (draft.kind, draft.attributes["LCK.qc_lockout"]) == (Kind.EVENT, "T")
    for silent in ("ACK", "EOT", "KPA", "REQ", "END"):
        assert read(f"<{silent}.R01><HDR/></{silent}.R01>") == []


@pytest.mark.parametrize(
    "text",
    ["", "no xml", "<OBS.R01/>", "<OBS.R01><HDR/><SVC><PT/></SVC></OBS.R01>", "<OBS.R01><SVC></OBS.R01>",
     '<!DOCTYPE x [<!ENTITY a "b">]><OBS.R01>&a;</OBS.R01>'],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        read(text)


def test_one_service_is_not_read_over_and_over() -> None:
    many = "".join(f'<OBS><OBS.observation_id V="T{n}"/><OBS.value V="{n}"/></OBS>' for n in range(20_000))
    assert len(read(observed(patient(many)))) == 20_000
    with pytest.raises(DecodeError):
        read(observed(patient(GLUCOSE) * 5000))


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=90)


@given(NAMES, NAMES, NAMES)
def test_who_spoke_is_known_beside_its_messages(vendor: str, model: str, serial: str) -> None:
    who = sender(Hello(vendor, model, serial).channel)
    assert who is not None
    assert "|" not in who.serial
    if not set("|/") & set(vendor + model + serial) and (vendor + model + serial).isprintable() and len(vendor) < 80:
        assert who.vendor == vendor


def test_a_hello_may_say_anything() -> None:
    told = hello(parse(b'<HEL.R01><DEV><DCP><DCP.application_timeout V="1e9"/></DCP></DEV></HEL.R01>'))
    assert told.timeout is None
    assert hello(parse(b"<HEL.R01/>")) == Hello()


TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF), max_size=20)


@given(TEXT, TEXT, st.decimals(allow_nan=False, allow_infinity=False, places=2), TEXT, st.booleans())
def test_what_the_simulated_device_says_is_what_is_read(
    specimen: str, test: str, value: object, unit: str, qc: bool
) -> None:
    drawn = {
        "time": datetime(2026, 1, 15, 9, 30, tzinfo=UTC),
        "kind": "qc" if qc else "result",
        "specimen": specimen,
        "patient": "P1",
        "run": "9",
        "results": [{"test": test, "value": str(value), "unit": unit, "flags": ["H"], "status": "preliminary"}],
    }
    options = POCT.options()
    (draft,) = POCT.decode(Message(POCT.encode(drawn, options)), options)
    assert (draft.value, draft.unit or "", draft.flags) == (str(value), unit.strip(), ("H",))
    assert (draft.specimen or "", draft.kind) == (specimen.strip(), Kind.QC if qc else Kind.RESULT)
    assert (draft.run, draft.status, draft.device_time) == ("9", Status.PRELIMINARY, "2026-01-15T09:30:00+00:00")
