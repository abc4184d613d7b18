"""XML from outside: read as a tree, refused where it could do harm."""

from __future__ import annotations

import pytest

from drivers.kit.exchange import DecodeError
from drivers.kit.xmltree import parse


def test_elements_attributes_and_text_are_read() -> None:
    root = parse(b'<?xml version="1.0"?><a x="1"><b>\xc3\xa9</b><b/></a>')
    assert (root.tag, root.get("x"), [one.text for one in root]) == ("a", "1", ["é", None])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<a>",
        b"<a></b>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>" * 500 + b"</a>" * 500,
        b'<?xml version="1.0" encoding="yutf-8"?><a/>',
        b'<?xml version="1.0" encoding="hex"?><a/>',
        b'<?xml version="1.0" encoding="gb18030"?><a/>',
    ],
)
def test_what_is_broken_or_dangerous_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        parse(data)
