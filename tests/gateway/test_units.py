"""Units as instruments print them, and from one into another."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.units import ATOMS, SPELLINGS, UnitError, converter, folded, from_text, is_ucum, parse


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("°C", "Cel"), ("C", "Cel"), ("degC", "Cel"), ("cp/mL", "{copies}/mL"), ("Copies/mL", "{copies}/mL"),
        ("IU/mL", "[IU]/mL"), ("mIU/L", "m[IU]/L"), ("10^9/L", "10*9/L"), ("10⁹/L", "10*9/L"), ("10E3/uL", "10*3/uL"),
        ("x10^3/µL", "10*3/uL"), ("10**6 /mm3", "10*6/uL"), ("K/uL", "10*3/uL"), ("%RH", "%"), ("mmHg", "mm[Hg]"),
        ("mg/dl", "mg/dL"), ("MG/DL", "mg/dL"), ("µg/L", "ug/L"), ("μg/L", "ug/L"), ("ug/L", "ug/L"), ("um3", "um3"),
        ("Ratio", "{ratio}"), ("S/CO", "{s_co_ratio}"), ("ppm", "[ppm]"), ("rpm", "{rpm}"), ("sec", "s"), ("kg", "kg"),
        ("Log (Copies/mL)", "{Log_copies}/mL"), ("ng/mL FEU", "ng{FEU}/mL"),
        # As haematology, chemistry, immunology and urine analysers spell them.
        ("1E03/mm3", "10*3/uL"), ("10E9/L", "10*9/L"), ("x10e3/uL", "10*3/uL"), ("10^3/mm^3", "10*3/uL"),
        ("10^6/UL", "10*6/uL"), ("G/l", "10*9/L"), ("umol/l", "umol/L"), ("U/l", "U/L"), ("g/dl", "g/dL"),
        ("gm/dL", "g/dL"), ("Mg/dL", "mg/dL"), ("/ul", "/uL"), ("µIU/mL", "u[IU]/mL"), ("uIU/ml", "u[IU]/mL"),
        ("mIU/ml", "m[IU]/mL"), ("COI", "{cutoff_index}"), ("RLU", "{RLU}"), ("Copies / mL", "{copies}/mL"),
        ("log cp/ml", "{Log_copies}/mL"), ("cycle number", "{Ct}"), ("cells/mm3", "{cells}/uL"),
        ("Cell/uL", "{cells}/uL"), ("cp/uL", "{copies}/uL"), ("yr", "a"),
        ("Ery/µl", "{Ery}/uL"), ("p/HPF", "{particles}/[HPF]"), ("mmol/mol", "mmol/mol"), ("kUA/l", "{kUA}/L"),
        ("mm/hr", "mm/h"), ("c/µL", "{cells}/uL"), ("index/mL", "{index}/mL"), ("% IH", "%{inhibition}"),
        ("K/mm3", "10*3/uL"), ("10x3/uL", "10*3/uL"), ("mg/24h", "mg/d"),
    ],
)  # fmt: skip
def test_what_instruments_print_is_known(text: str, code: str) -> None:
    assert from_text(text) == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ML",
        "GN",
        "103/uL",
        "1000/uL",
        "Mg/ml",
        "Mmol/L",
        "MIU/L",
        "Tl/s",
        "furlong",
        "lb",
        "POS",
        "mg dL",
        "é",
        "{a b}/mL",
    ],
)
def test_what_could_be_two_things_or_nothing_is_not_known(text: str) -> None:
    assert from_text(text) is None


@pytest.mark.parametrize("text", sorted(SPELLINGS))
def test_a_spelling_means_the_same_however_the_litre_is_written(text: str) -> None:
    assert from_text(text) == SPELLINGS[text]
    if "/mL" in text:
        assert from_text(text.replace("/mL", "/ml")) == from_text(text.replace("/mL", " / mL")) == SPELLINGS[text]


@pytest.mark.parametrize("code", sorted(set(SPELLINGS.values())))
def test_every_spelling_leads_to_a_ucum_code(code: str) -> None:
    assert is_ucum(code)


@pytest.mark.parametrize(
    ("value", "source", "target", "molar_mass", "wanted"),
    [
        ("100", "mg/dL", "mmol/L", 180.156, "5.55074"),
        ("5.5", "mmol/L", "mg/dL", 180.156, "99.0858"),
        ("1", "mg/dL", "umol/L", 113.12, "88.4017"),
        ("98.6", "[degF]", "Cel", None, "37"),
        ("-80", "Cel", "K", None, "193.15"),
        ("1", "mg/dL", "mg/L", None, "10"),
        ("5", "10*3/uL", "10*9/L", None, "5"),
        ("3", "m[IU]/L", "u[IU]/mL", None, "3"),
        ("1", "U/L", "nkat/L", None, "16.6667"),
        ("760", "mm[Hg]", "hPa", None, "1013.25"),
        ("1", "[lb_av]", "kg", None, "0.453592"),
        ("5", "[car_m]", "g", None, "1"),
        ("10", "cm[H2O]", "Pa", None, "980.665"),
        ("90", "min", "h", None, "1.5"),
        ("1", "ng{FEU}/mL", "ug{FEU}/L", None, "1"),
    ],
)
def test_conversions(value: str, source: str, target: str, molar_mass: float | None, wanted: str) -> None:
    assert converter(source, target, molar_mass)(Decimal(value)) == pytest.approx(Decimal(wanted), rel=Decimal("1e-5"))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("[IU]/mL", "{copies}/mL"), ("[IU]/mL", "[CFU]/mL"), ("{copies}/mL", "{cells}/mL"), ("ng/mL", "ng{FEU}/mL"),
        ("{Log_copies}/mL", "{copies}/mL"), ("{Ct}", "{index}"), ("mg/dL", "mmol/L"), ("g", "s"), ("Cel", "mCel"),
    ],
)  # fmt: skip
def test_what_does_not_convert_is_refused(source: str, target: str) -> None:
    with pytest.raises(UnitError):
        converter(source, target)


def test_only_a_power_before_something_counted_folds() -> None:
    assert folded("10*-1.{copies}/mL") == (-1, "{copies}/mL")
    assert folded("10*4.{Copies}/mL") == (4, "{Copies}/mL")
    assert folded("10*9/L") is folded("10^3/uL") is folded("mg/dL") is None


LINEAR = sorted(name for name in ATOMS if name not in ("Cel", "[degF]"))


@given(st.sampled_from(LINEAR), st.sampled_from(LINEAR), st.decimals("-1e6", "1e6", places=4))
def test_there_and_back_is_where_it_began(one: str, other: str, value: Decimal) -> None:
    if parse(one).dimension == parse(other).dimension:
        back = converter(other, one)(converter(one, other)(value))
        assert back == pytest.approx(value, rel=Decimal("1e-12"))
    else:
        with pytest.raises(UnitError):
            converter(one, other)


@given(st.text(max_size=120))
def test_any_text_is_a_unit_or_refused(text: str) -> None:
    code = from_text(text)
    assert code is None or is_ucum(code)
    folded(text)
    is_ucum(text)
