"""Delimited text and workbooks: rows, headers, preambles, and what is refused."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit import spreadsheets
from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.tables import Columns, Shape, cells_of, grid, plain, text_of

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n\ufeff"), max_size=12).map(str.strip)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=5), min_size=1, max_size=6), st.sampled_from(",;\t|"))
def test_what_a_foreign_writer_wrote_is_read_cell_by_cell(rows: list[list[str]], separator: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=separator).writerows([["head", "er"], *rows])
    read = [cells for _, cells in cells_of(written.getvalue(), separator)]
    assert read == [["head", "er"], *rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_says_the_encoding(encoding: str) -> None:
    text = "Größe;µL\r\n1;2\r\n"
    data = text.encode(encoding)
    if encoding in ("utf-16-le", "utf-16-be"):
        data = ("\ufeff" + text).encode(encoding)
    assert text_of(data, ("utf-8-sig",)) == text


def test_of_several_encodings_the_first_that_fits_counts() -> None:
    assert text_of("copies/µL".encode("cp1252"), ("utf-8-sig", "cp1252")) == "copies/µL"
    assert text_of("copies/µL".encode(), ("utf-8-sig", "cp1252")) == "copies/µL"
    with pytest.raises(DecodeError) as refused:
        text_of("copies/µL".encode("cp1252"), ("utf-8-sig",))
    assert refused.value.reason is Reason.ENCODING


def test_a_file_filled_up_with_zeros_is_not_read() -> None:
    with pytest.raises(DecodeError):
        text_of(b"a,b\r\n1,2\r\n" + bytes(100), ("utf-8-sig",))


@pytest.mark.parametrize("first", ["sep=;\r\n", "sep=;;;;\n", '"sep=;"\r\n', "\ufeffsep=;\n"])
def test_the_first_line_may_say_the_separator(first: str) -> None:
    assert [cells for _, cells in cells_of(first + "a;b,c\r\n", ",")] == [["a", "b,c"]]


def test_quotes_that_do_not_pair_make_no_rows() -> None:
    with pytest.raises(DecodeError):
        list(cells_of('a,b\r\n1,"2\r\n3,4\r\n', ","))


def test_columns_are_found_by_name_in_any_case_with_either_micro_sign_and_by_count() -> None:
    columns = Columns(["Sample  ID", "Conc. (ng/\u00b5L)", "Units", "Value", "Units", "", ""])
    assert columns.index("sample id") == 0
    assert columns.index("Conc. (ng/\u03bcL)") == 1
    assert (columns.index("Units"), columns.index("Units#2"), columns.index("Units#3")) == (2, 4, None)
    assert columns.index(2) == 1
    assert len(columns.names) == 5
    assert plain("A  B") == "a b"


SHAPE = Shape(required=(("Well",), ("Cq",)), meta="equals", section="[Results]", ends_blank=True)
FILE = """* Instrument Name = QS7
* Remark = a, b = c
[Setup]
Well,Sample,Cq,x = y
[Results]

Well,Sample,Cq
A1,S1,21.5
A2,S2,22.5

Analysis Type = Singleplex
"""


def test_a_section_with_its_preamble_header_and_footer() -> None:
    found = grid(cells_of(FILE, ","), SHAPE)
    assert [line.cells for line in found.lines] == [("A1", "S1", "21.5"), ("A2", "S2", "22.5")]
    assert found.bad == []
    assert found.meta == {"Instrument Name": "QS7", "Remark": "a,b = c", "Analysis Type": "Singleplex"}


def test_rows_unlike_their_table_are_told_of() -> None:
    text = FILE.replace("A2,S2,22.5\n", "A2,S2\nA3,S3,1,extra\nA4,S4,2,\n") + "A9,S9,9.9\n"
    found = grid(cells_of(text, ","), SHAPE)
    assert [line.cells[0] for line in found.lines] == ["A1", "A4"]
    assert [(bad.number, bad.shown.split(",")[0]) for bad in found.bad] == [(9, "A2"), (10, "A3"), (14, "A9")]


def test_a_table_without_its_header_or_section_is_refused() -> None:
    with pytest.raises(DecodeError, match="no section"):
        grid(cells_of("Well,Cq\nA1,2\n", ","), SHAPE)
    with pytest.raises(DecodeError, match="no header row"):
        grid(cells_of("[Results]\nWell,Ct\nA1,2\n", ","), SHAPE)


@given(st.text(max_size=300), st.booleans())
def test_any_text_ends_in_rows_or_a_refusal(text: str, whole: bool) -> None:
    try:
        found = grid(cells_of(text, ","), Shape(required=(("a",),), meta="colon", ends_blank=True), whole)
    except DecodeError:
        return
    assert all(isinstance(cell, str) for line in found.lines for cell in line.cells)


# ---- workbooks


def book(rows: list[list[object]]) -> bytes:
    return spreadsheets.write({"Other": [["nothing"]], "Results": rows})


def test_a_workbooks_cells_are_text_as_it_shows_them() -> None:
    data = book([["Well", "Cq", "ok"], ["A1", 25.5, True], ["A2", 30.0, None], ["A3", "Undetermined", 1234567890]])
    assert list(spreadsheets.rows(data, "results")) == [
        ["Well", "Cq", "ok"],
        ["A1", "25.5", "true"],
        ["A2", "30"],
        ["A3", "Undetermined", "1234567890"],
    ]
    with pytest.raises(DecodeError, match="no sheet"):
        list(spreadsheets.rows(data, "Summary"))


def archive(parts: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return written.getvalue()


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(DecodeError) as refused:
        list(spreadsheets.rows(archive({"xl/worksheets/sheet1.xml": bytes(50 << 20)})))
    assert refused.value.reason is Reason.TOO_LONG
    with pytest.raises(DecodeError):
        spreadsheets.bounded(archive({f"{n}.xml": b"" for n in range(spreadsheets.MOST_PARTS + 1)}))


def test_a_part_in_an_encoding_nobody_knows_is_refused() -> None:
    data = archive({"xl/workbook.xml": b'<?xml version="1.0" encoding="yutf-8"?><a/>'})
    with pytest.raises(DecodeError):
        list(spreadsheets.rows(data))
    with pytest.raises(DecodeError):
        spreadsheets.compact(data)


def test_entities_are_refused() -> None:
    data = book([["a"]])
    parts = {
        info.filename: zipfile.ZipFile(io.BytesIO(data)).read(info)
        for info in zipfile.ZipFile(io.BytesIO(data)).infolist()
    }
    sheet = next(name for name in parts if "sheet2" in name)
    parts[sheet] = b'<!DOCTYPE x [<!ENTITY a "b">]>' + parts[sheet].split(b"?>", 1)[-1]
    with pytest.raises(DecodeError, match="document type"):
        list(spreadsheets.rows(archive(parts)))


@pytest.mark.parametrize("name", ["xl/worksheets/sheet2.xml", "xl/anything.bin"])
def test_two_cells_far_apart_are_refused_where_room_is_made_for_all_between(name: str) -> None:
    far = b'<worksheet><sheetData><row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
    with pytest.raises(DecodeError, match="1048576 rows and 16384 columns"):
        spreadsheets.compact(archive({name: far}))
    inner = archive({name: far})
    with pytest.raises(DecodeError, match="1048576 rows"):
        spreadsheets.compact(archive({"inner.zip": inner}))
    with pytest.raises(DecodeError, match="within"):
        spreadsheets.compact(archive({"outer.zip": archive({"inner.zip": inner})}))
    with pytest.raises(DecodeError, match="OpenDocument"):
        spreadsheets.compact(archive({"content.xml": b"<a/>"}))
    spreadsheets.compact(book([["a", 1], ["b", 2]]))


@pytest.mark.parametrize("keep", [0, 3, 40, 400, 900])
def test_half_a_workbook_is_refused(keep: int) -> None:
    with pytest.raises(DecodeError):
        list(spreadsheets.rows(book([["a", "b"], [1, 2]])[:keep]))
