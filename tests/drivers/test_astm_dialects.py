"""Makers' dialects: every case draft by draft, recognised by the sender's own name, and never by a neighbour's."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from drivers import folder, load
from drivers.astm.dialects import VARIANTS, recognised
from drivers.astm.options import AstmOptions
from drivers.kit import recording
from drivers.kit.declare import Evidence, Message
from drivers.kit.observation import Draft
from drivers.kit.values import number
from gateway.naming import slug
from gateway.units import from_text

CASES = [
    (name, case)
    for name in ("astm", "genexpert")
    for case in recording.cases(folder(name))
    if not case.name.startswith("simulated")
]
FIELDS = (
    "kind",
    "test",
    "specimen",
    "unit",
    "interpretation",
    "flags",
    "status",
    "quality",
    "device_time",
    "quantity",
    "patient",
    "operator",
    "lot",
    "lot_expiry",
    "run",
    "code",
)
ALWAYS = ("unit", "interpretation", "flags")  # what an expectation does not name is not there


def heard(name: str, case: recording.Case) -> list[Draft]:
    driver = load(name)
    given = tomllib.loads(case.options.read_text(encoding="utf-8")) if case.options else {}
    options = driver.options(**given)
    drafts: list[Draft] = []
    for message in recording.play(driver.host(options), recording.read(case.wire.read_text(encoding="utf-8"))):
        assert isinstance(message, Message), message
        drafts += driver.decode(message, options)
    return drafts


def plain(value: object) -> object:
    found = number(value) if isinstance(value, str) else None
    return float(found.value) if found and found.comparator is None and not found.unit else value


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}-{case.name}" for name, case in CASES])
def test_a_makers_messages_are_read_as_they_were_meant(name: str, case: recording.Case) -> None:
    drafts = heard(name, case)
    wanted: list[dict[str, Any]] = [json.loads(line) for line in case.expected.read_text(encoding="utf-8").splitlines()]
    assert [draft.test for draft in drafts] == [row["test"] for row in wanted]
    for draft, row in zip(drafts, wanted, strict=True):
        said = {field: getattr(draft, field) for field in FIELDS}
        said |= {"flags": list(draft.flags), "quantity": draft.quantity or slug(draft.test)}
        missing: dict[str, Any] = {"unit": None, "interpretation": None, "flags": []}
        expected = {field: row.get(field, missing.get(field)) for field in FIELDS if field in row or field in ALWAYS}
        assert {field: said[field] for field in expected} == expected
        assert plain(draft.value) == plain(row["value"])


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}-{case.name}" for name, case in CASES])
def test_every_unit_in_a_makers_messages_is_known(name: str, case: recording.Case) -> None:
    for draft in heard(name, case):
        assert draft.unit is None or from_text(draft.unit) is not None, draft.unit


SENDERS = {
    "    XN-550^00-24^22723^^^^BD634545": "sysmex-x",
    "XP-300^00-13^^^^A7869^BS649542": "sysmex-x",
    "XS^00-16^65750": "sysmex-x",
    "U-WAM^00-22_Build003^A1494": "sysmex-u",
    "UF-5000^00-01": "sysmex-u",
    "VITROS": "vitros",
    "URISYS1100^99305^SW5.31": "cobas-u",
    "cobas u 411^8^3.2.0.1001": "cobas-u",
    "pocH-100i^00-01^^^^A1^B1": "sysmex-x",
    "CS-2500^01-70^21768": "sysmex-ca",
    "CA-1500^00": "sysmex-ca",
    "H550^909YAXH02732^1.2.1.4": "yumizen",
    "H2500^1^2": "yumizen",
    "ABX": "pentra",
    "c311^1": "cobas-c",
    "cobas c 501^1.0": "cobas-c",
    "cobas 8000^1.02": "cobas-c",
    "H7600^1": "cobas-c",
    "cobas-e411^1": "cobas-e411",
    "Elecsys^1": "cobas-e411",
    "c111ELREMC^Roche^c111^4.2.2.1730": "cobas-c111",
    "cobas c111^Roche": "cobas-c111",
    "ARCHITECT^1.00^123456789": "architect",
    "Alinity ci-series^2.5": "architect",
    "m2000^8.1.9.0^275000001": "m2000",
    "ACCESS^575707": "access",
    "Maglumi User": "maglumi",
    "Mindry^^": "mindray",
    "BS-230^V8.0^123456": "mindray",
    "LUP2^UA301000462^1.0.11": "urised",
    "UriSed mini^UriSed mini^3.2.19": "urised",
    "Afinion 2 Analyzer^^AF20052397": "afinion",
    "DCA VANTAGE^04.04.00.00": "dca-vantage",
    " ImmunoCAP Data Manager^1.00": "immunocap",
    "AMPLILINK^3.3^123": "amplilink",
    "Reader^1": None,
    "H-900^1": None,
    "XNA^1": None,
    "": None,
}


@pytest.mark.parametrize(("sender", "dialect"), SENDERS.items())
def test_a_sender_is_recognised_by_its_name(sender: str, dialect: str | None) -> None:
    assert recognised(sender.strip(), "P", AstmOptions())[1] == dialect


def test_mindrays_processing_codes_are_nobody_elses() -> None:
    assert recognised("^^", "PR", AstmOptions())[1] == "mindray"
    assert recognised("^^", "P", AstmOptions())[1] is None


def test_a_dialect_claims_recordings_only_where_it_names_them() -> None:
    for dialect in VARIANTS:
        assert bool(dialect.recordings) == (dialect.evidence is Evidence.RECORDING), dialect.name
        assert dialect.note, dialect.name
