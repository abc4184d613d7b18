"""Exports by declaration: published files of real instruments, and what must never happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import drivers
from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.observation import Draft, Kind, Quality

DRIVER = drivers.load("table")
SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
CDX = SAMPLES / "instedd+cdx" / "spec" / "fixtures"
ASM = SAMPLES / "Benchling-Open-Source+allotropy" / "tests" / "parsers"
published = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the recordings are not here")


def options(**given: Any) -> Any:
    return DRIVER.options.model_validate(given)


def decode(data: bytes | str, variant: str = "", name: str = "export.csv", **given: Any) -> list[Draft]:
    declared: Mapping[str, Any] = DRIVER.preset(variant).options if variant else {}
    data = data.encode() if isinstance(data, str) else data
    return list(DRIVER.decode(Message(data, name), options(**{**declared, **given})))


def sample(path: Path, variant: str) -> list[Draft]:
    return decode(path.read_bytes(), variant, path.name)


def short(draft: Draft) -> tuple[Any, ...]:
    return (draft.kind, draft.specimen, draft.test, draft.value, draft.interpretation)


# ---- published files


@published
def test_pima_counts_and_failed_tests() -> None:
    drafts = sample(CDX / "csvs" / "alere_pima.csv", "pima")
    assert len(drafts) == 38
    first, failed = drafts[0], drafts[1]
    assert short(first) == (Kind.RESULT, "0010416450", "CD3+CD4+", "659", None)
    assert (first.unit, first.operator, first.run) == ("{cells}/mm3", "CHRISTIANA", "3")
    assert first.device_time == "2012-06-26 08:53"
    assert (failed.value, failed.interpretation, failed.quality) == (None, "invalid", Quality.BAD)
    assert failed.attributes["error"] == "Test not finished Error 200"
    assert {draft.value for draft in drafts if draft.specimen == "0010084617"} == {None, "762"}


@published
def test_alere_q_is_three_calls_a_cartridge_and_an_error_makes_them_invalid() -> None:
    drafts = sample(CDX / "csvs" / "alere_q.csv", "alere-q")
    runs = Counter(draft.run for draft in drafts)
    assert set(runs.values()) == {3}
    assert len(runs) == 77
    by = {(draft.run, draft.test): draft for draft in drafts}
    assert by["91", "HIV-1 M/N"].interpretation == "Detected"
    assert by["91", "HIV-2"].interpretation == "Undetected"
    assert by["106", "HIV-1 O"].interpretation == "invalid"
    assert by["106", "HIV-1 O"].attributes["error"] == "23205"
    assert by["93", "HIV-2"].interpretation == "invalid"


@published
@pytest.mark.parametrize("variant", ["epicenter", "epicenter-headless"])
def test_epicenter_with_and_without_a_header_says_the_same(variant: str) -> None:
    name = "epicenter_sample.csv" if variant == "epicenter" else "epicenter_headless_sample.csv"
    drafts = sample(CDX / "csvs" / name, variant)
    assert all(draft.kind is Kind.RESULT for draft in drafts)
    calls = {(draft.specimen, draft.test): draft.interpretation for draft in drafts if draft.interpretation}
    assert calls["dk1", "BACTEC MGIT / tubo 7 mL"] == "positive"
    assert calls["dk1", "Tinción de acidorresistencia"] == "negative"
    assert calls["dk2", "METODO PROPORCIONES Hidrazida del ácido tiofenocarboxílico"] == "resistant"
    assert calls["dk2", "zzBACTEC MGIT / kit de 5 tubos Isoniacida"] == "susceptible"
    organisms = {draft.value for draft in drafts if draft.test.endswith("organism")}
    assert organisms == {"Mycobacterium tuberculosis complejo", "Mycobacterium tuberculosis"}
    told = {str(value) for draft in drafts for value in (*draft.attributes, *draft.attributes.values())}
    assert not told & {"Femenino", "hispanic", "white", "46"}


@published
def test_a_deki_reader_is_read_with_its_control_line() -> None:
    path = CDX / "xmls" / "deki_reader_sample.xml"
    falciparum, vivax = sample(path, "deki-reader")
    assert short(falciparum) == (Kind.RESULT, "0987654321", "P.f", "Positive", "Positive")
    assert short(vivax)[2:] == ("P.v", "Negative", "Negative")
    assert falciparum.device_time == "2015-05-18T12:34:56+05:00"
    assert falciparum.patient == "1234567890"
    assert "Jane Doe" not in str(falciparum)
    without = path.read_bytes().replace(b'Control qualitative="Valid"', b'Control qualitative="Invalid"')
    for draft in decode(without, "deki-reader"):
        assert (draft.value, draft.interpretation, draft.quality) == (None, "invalid", Quality.BAD)


@published
@pytest.mark.parametrize(
    ("name", "kind", "calls"),
    [
        ("genexpert_sample", Kind.RESULT, ["DETECTED MEDIUM", "DETECTED"]),
        ("genexpert_sample_mtb_very_low", Kind.RESULT, ["DETECTED VERY LOW", "NOT DETECTED"]),
        ("genexpert_sample_qc", Kind.QC, ["DETECTED MEDIUM", "NOT DETECTED"]),
    ],
)
def test_a_genexpert_event_is_two_calls(name: str, kind: Kind, calls: list[str]) -> None:
    drafts = sample(CDX / "jsons" / f"{name}.json", "genexpert-event")
    assert [draft.interpretation for draft in drafts] == calls
    assert [draft.test.lower() for draft in drafts] == ["mtb", "rif resistance"]
    assert {draft.kind for draft in drafts} == {kind}


@pytest.mark.parametrize("result", ["ERROR", "INVALID", "NO RESULT"])
def test_a_genexpert_event_without_calls_is_one_of_its_assay(result: str) -> None:
    (draft,) = decode(
        f'{{"event": {{"result": "{result}", "assay_name": "MTB-RIF", "sample_ID": "A", "test_type": "0"}}}}',
        "genexpert-event",
    )
    assert short(draft) == (Kind.RESULT, "A", "MTB-RIF", result, result)


@published
def test_quantstudio_wells_targets_controls_and_what_is_undetermined() -> None:
    drafts = sample(ASM / "appbio_quantstudio" / "testdata" / "appbio_quantstudio_example02.txt", "quantstudio")
    assert len(drafts) == 96
    wells = {(draft.attributes["well"], draft.test): draft for draft in drafts}
    assert short(wells["A1", "TGFb"]) == (Kind.QC, "NAC", "TGFb", "Undetermined", "Negative Control")
    assert short(wells["A1", "IPC"])[0] is Kind.QC
    assert {draft.quantity for draft in drafts} == {"cq"}
    present = next(draft for draft in drafts if draft.specimen == "(+)" and draft.test == "TGFb")
    assert (present.kind, present.value, present.interpretation) == (Kind.RESULT, "27.987", "detected")
    assert present.device_time == "2010-10-01 01:44:54 -04:00"
    assert present.attributes["time_as_sent"] == "2010-10-01 01:44:54 AM EDT"


@published
def test_quantstudio_standards_are_controls_and_quantities_stand_beside_cycles() -> None:
    drafts = sample(ASM / "appbio_quantstudio" / "testdata" / "example_quantsudio_results_only.txt", "quantstudio")
    kinds = Counter((draft.kind, draft.quantity) for draft in drafts)
    assert kinds == {
        (Kind.RESULT, "cq"): 18,
        (Kind.RESULT, "quantity"): 18,
        (Kind.QC, "cq"): 6,
        (Kind.QC, "quantity"): 6,
    }
    patient = [draft for draft in drafts if draft.specimen == "5000018696625" and draft.attributes["well"] == "A4"]
    assert [(draft.test, draft.value) for draft in patient] == [("3'UTR", "25.711"), ("3'UTR quantity", "118,248.200")]


@published
def test_a_workbook_says_what_its_sheet_shows() -> None:
    path = ASM / "appbio_quantstudio" / "testdata" / "appbio_quantstudio_example10.xlsx"
    drafts = sample(path, "quantstudio-workbook")
    assert [draft.value for draft in drafts] == ["25.5", "25.8", "26.2", "26.5", "20", "20.2", "19.8", "20"]
    assert {draft.kind for draft in drafts} == {Kind.RESULT}
    assert {draft.run for draft in drafts} == {"test_experiment"}
    text, workbook = (
        sample(ASM / "thermo_fisher_nanodrop_one" / "testdata" / name, variant)
        for name, variant in (
            ("dsDNA 7_19_2023 3_27_29 PM.csv", "nanodrop-one"),
            ("example1.xlsx", "nanodrop-one-workbook"),
        )
    )
    assert [short(draft) for draft in text] == [short(draft) for draft in workbook]


@published
def test_qiacuity_controls_are_told_from_samples() -> None:
    drafts = sample(ASM / "qiacuity_dpcr" / "testdata" / "qiacuity_dpcr_example01.csv", "qiacuity")
    kinds = {str(draft.attributes["well"]): (draft.kind, draft.value) for draft in drafts}
    assert kinds["A1"] == (Kind.RESULT, "86.32")
    assert kinds["B1"] == (Kind.QC, "8.284")
    assert kinds["D1"] == (Kind.QC, "110.1")
    assert {draft.unit for draft in drafts} == {"{copies}/uL"}


@published
def test_absolute_q_leaves_averages_out_and_reads_every_dye() -> None:
    folder = ASM / "appbio_absolute_q" / "testdata"
    wells = sample(folder / "Appbio_AbsoluteQ_example01.csv", "absolute-q")
    assert len(wells) == 16
    assert ("Cell Lysate B", "Gene B", "2667.86") in {(d.specimen, d.test, d.value) for d in wells}
    both = sample(folder / "Appbio_AbsoluteQ_summary.csv", "absolute-q")
    assert {draft.test for draft in both} == {"TARGET 1", "TARGET 2"}
    assert len(both) == 16
    with pytest.raises(DecodeError, match="no header row"):
        sample(folder / "Appbio_AbsoluteQ_fluorescence_columns.csv", "absolute-q")


@published
def test_flex2_takes_units_from_its_row_of_units_and_none_where_there_is_none() -> None:
    folder = ASM / "novabio_flex2" / "testdata"
    told = sample(folder / "SampleResultsT123456789C2020-01-01_162647.csv", "flex2")
    assert {draft.test: draft.unit for draft in told}["Gluc"] == "g / L"
    assert {draft.test: draft.unit for draft in told}["pH"] is None
    untold = sample(folder / "SampleResultsDEVICE1232021-02-18_104838.csv", "flex2")
    assert {draft.unit for draft in untold} == {None}
    assert len({draft.specimen for draft in untold}) == 6


@published
@pytest.mark.parametrize("size", [1, 400, 2000, 4000])
def test_a_published_file_cut_anywhere_gives_no_other_value(size: int) -> None:
    """Of a half-written file every result is one of the whole file's, or is doubted."""
    path = CDX / "csvs" / "alere_pima.csv"
    whole = {short(draft) for draft in sample(path, "pima")}
    for cut in range(size, size + 60):
        try:
            drafts = decode(path.read_bytes()[:cut], "pima")
        except DecodeError:
            continue
        good = {
            short(draft) for draft in drafts if draft.kind is Kind.RESULT and draft.quality is not Quality.UNCERTAIN
        }
        assert good <= whole


# ---- declared tables

TABLE: dict[str, Any] = {
    "specimen": "Sample",
    "time": "Time",
    "results": [{"value": "CRP", "unit": "mg/L"}, {"value": "PCT", "unit": "ng/mL"}],
}
HEAD = "Time,Sample,CRP,PCT\r\n"
ROW = "2026-01-15 09:30:00,S1,12.4,<0.05\r\n"


def test_a_wide_row_is_a_result_a_column_and_empty_cells_are_none() -> None:
    drafts = decode(HEAD + ROW + "2026-01-15 09:40:00,S2,---,0.1\r\n", **TABLE, empty=["---"])
    assert [(d.specimen, d.test, d.value, d.unit) for d in drafts] == [
        ("S1", "CRP", "12.4", "mg/L"),
        ("S1", "PCT", "<0.05", "ng/mL"),
        ("S2", "PCT", "0.1", "ng/mL"),
    ]


def test_a_bad_row_is_told_of_and_hides_no_good_one() -> None:
    drafts = decode(HEAD + "2026-01-15,S0,1\r\n" + ROW + "2026-01-15 09:50:00,S3,,\r\n", **TABLE)
    assert [draft.specimen for draft in drafts if draft.kind is Kind.RESULT] == ["S1", "S1"]
    events = {draft.test: draft for draft in drafts if draft.kind is Kind.EVENT}
    bad = events["unreadable-row"]
    assert (bad.value, bad.quality, bad.attributes["row"]) == ("2026-01-15,S0,1", Quality.UNCERTAIN, 2)
    assert "3 cells where 4 are named" in str(bad.quality_reason)
    assert events["row-without-result"].value == "2026-01-15 09:50:00,S3,,"


def test_a_file_of_bad_rows_only_is_refused() -> None:
    with pytest.raises(DecodeError, match="row 2: 3 cells where 4 are named"):
        decode(HEAD + "2026-01-15,S0,1\r\n", **TABLE)


def test_a_file_of_too_many_results_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.table.reading.MOST_DRAFTS", 2)
    assert len(decode(HEAD + ROW, **TABLE)) == 2
    with pytest.raises(DecodeError) as refused:
        decode(HEAD + ROW + ROW, **TABLE)
    assert refused.value.reason is Reason.TOO_LONG


def test_a_header_alone_is_told_of() -> None:
    (draft,) = decode(HEAD, **TABLE)
    assert (draft.kind, draft.test) == (Kind.EVENT, "table-without-rows")


def test_a_grown_file_gives_its_old_rows_the_same_identity_whatever_it_is_called() -> None:
    before = decode(HEAD + ROW, **TABLE, name="a.csv")
    after = decode(HEAD + "2026-01-15 08:00:00,S0,1,2\r\n" + ROW, **TABLE, name="b.csv")
    assert {draft.identity for draft in before} < {draft.identity for draft in after}
    assert len({draft.identity for draft in after}) == 4


def test_equal_rows_of_one_file_are_two_and_of_two_files_without_times_too() -> None:
    plain: dict[str, Any] = {"specimen": "Sample", "results": [{"value": "Cq"}]}
    twice = decode("Sample,Cq\r\nNTC,NaN\r\nNTC,NaN\r\n", **plain, name="monday.csv")
    other = decode("Sample,Cq\r\nNTC,NaN\r\n", **plain, name="tuesday.csv")
    assert len({draft.identity for draft in (*twice, *other)}) == 3


def test_a_row_that_is_not_said_to_be_a_specimens_is_no_result() -> None:
    given: dict[str, Any] = {
        "specimen": "Sample",
        "kind": "Content",
        "samples": ["Unkn"],
        "qc": ["NTC", "Std"],
        "qc_names": ["QC"],
        "results": [{"value": "Cq"}],
    }
    rows = "S1,Unkn-01,20\r\nS2,Std-3,21\r\nS3,NTC,22\r\nS4,Weird,23\r\nS5,,24\r\nqc-1,Unkn,25\r\n"
    kinds = {d.specimen: (d.kind, d.quality) for d in decode("Sample,Content,Cq\r\n" + rows, **given)}
    assert kinds == {
        "S1": (Kind.RESULT, Quality.GOOD),
        "S2": (Kind.QC, Quality.GOOD),
        "S3": (Kind.QC, Quality.GOOD),
        "S4": (Kind.QC, Quality.UNCERTAIN),
        "S5": (Kind.QC, Quality.UNCERTAIN),
        "qc-1": (Kind.QC, Quality.GOOD),
    }


def test_an_error_or_a_failed_check_leaves_no_value() -> None:
    given: dict[str, Any] = {
        "specimen": "S",
        "error": "Err",
        "checks": [{"column": "C", "words": ["OK"]}, {"column": "Q", "words": ["PASS"], "otherwise": "uncertain"}],
        "results": [{"value": "V"}],
    }
    rows = "a,1,0,OK,PASS\r\nb,2,E5,OK,PASS\r\nc,3,0,BAD,PASS\r\nd,4,0,,PASS\r\ne,5,0,OK,FAIL\r\n"
    told = {
        d.specimen: (d.value, d.interpretation, d.quality, d.attributes.get("printed_value"))
        for d in decode("S,V,Err,C,Q\r\n" + rows, **given)
    }
    assert told == {
        "a": ("1", None, Quality.GOOD, None),
        "b": (None, "invalid", Quality.BAD, "2"),
        "c": (None, "invalid", Quality.BAD, "3"),
        "d": (None, "invalid", Quality.BAD, "4"),
        "e": ("5", None, Quality.UNCERTAIN, None),
    }


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2010-10-01 01:44:54 PM EDT", "2010-10-01 13:44:54 -04:00"),
        ("2010-10-01 12:05:00 AM EDT", "2010-10-01 00:05:00 -04:00"),
        ("2024-10-01 15:02:50 PM EST", "2024-10-01 15:02:50 -05:00"),
        ("2024-10-01 15:02:50 EST", "2024-10-01 15:02:50 -05:00"),
        ("2024-10-01 15:02:50 AM EST", "2024-10-01 15:02:50 AM EST"),
        ("2024-10-01 15:02:50 CST", "2024-10-01 15:02:50 CST"),
        ("03-10-2024 10:05:00 AM EST", "03-10-2024 10:05:00 AM EST"),
    ],
)
def test_letters_behind_a_time_mean_what_is_declared_and_nothing_else(sent: str, read: str) -> None:
    given: dict[str, Any] = {"time": "T", "zones": {"EST": "-05:00", "EDT": "-04:00"}, "results": [{"value": "V"}]}
    (draft,) = decode(f"T,V\r\n{sent},1\r\n", **given)
    assert draft.device_time == read


@pytest.mark.parametrize(("end", "quality"), [("\r\n", Quality.GOOD), ("", Quality.UNCERTAIN)])
def test_a_last_cell_that_may_be_cut_is_doubted(end: str, quality: Quality) -> None:
    drafts = decode("Sample,CRP\r\nS1,12.4\r\nS2,13.5" + end, specimen="Sample", results=[{"value": "CRP"}])
    assert [draft.quality for draft in drafts] == [Quality.GOOD, quality]


def test_an_entity_bomb_and_a_zip_bomb_are_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "ha">]><a><R><V>&b;</V></R></a>'
    with pytest.raises(DecodeError):
        decode(bomb, format="xml", rows="R", results=[{"value": "V"}])
    with pytest.raises(DecodeError):
        decode(b"PK\x03\x04" + bytes(100), format="xlsx", results=[{"value": "V"}])


def test_a_formula_is_a_text() -> None:
    (draft,) = decode('Sample,V\r\nS1,"=HYPERLINK(""http://x"")"\r\n', specimen="Sample", results=[{"value": "V"}])
    assert draft.value == '=HYPERLINK("http://x")'


@pytest.mark.parametrize(
    "wrong",
    [
        {"results": []},
        {"results": [{"test": "x"}]},
        {"results": [{"value": "V"}], "separatr": ";"},
        {"results": [{"value": "V"}], "format": "json"},
        {"results": [{"value": "V["}], "format": "xml", "rows": "R"},
        {"results": [{"value": "V"}], "header": False},
        {"results": [{"value": "V"}], "kind": "Type"},
        {"results": [{"value": "V", "pattern": "("}]},
        {"results": [{"value": "V"}], "encoding": "klingon"},
    ],
)
def test_wrong_declarations_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(**wrong)


VARIANTS = [variant.name for variant in DRIVER.variants]


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(VARIANTS))
def test_any_bytes_end_in_drafts_or_a_refusal(data: bytes, variant: str) -> None:
    try:
        decode(data, variant)
    except DecodeError as error:
        assert error.reason in (Reason.UNREADABLE, Reason.ENCODING, Reason.TOO_LONG)


def test_a_strips_text_is_a_call_a_drug_and_never_one_for_all() -> None:
    head = "No;TypeOfTest;Strip-Type;SampleNo.;PID;DateOfAnalysis;Result\n"
    row_ = "1;MTBDRplus;Patient;1;A1;18.2.2009;MTBC DNA detected/rpoB MUT/RMP resistant/INH sensitive\n"
    drafts = decode(head + row_ + "2;MTBDRplus;Control;2;A2;18.2.2009;No MTBC DNA detected.\n", "genoscan")
    assert [(draft.kind, draft.test, draft.interpretation) for draft in drafts] == [
        (Kind.RESULT, "MTBC", "detected"),
        (Kind.RESULT, "MTBDRplus", "rpoB MUT"),
        (Kind.RESULT, "RMP", "resistant"),
        (Kind.RESULT, "INH", "sensitive"),
        (Kind.QC, "MTBDRplus", "not-detected"),
    ]
