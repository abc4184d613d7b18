"""What protects from hostile bytes, taken away."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any
from xml.parsers import expat

from drivers.kit import lines, spreadsheets, xmltree
from gateway.journal import export
from gateway.links import files
from gateway.web import api, guard

ENDLESS = 1 << 40


def no_limits() -> None:
    """A line may be as long as it likes."""
    real = lines.Lines.__init__

    def begin(self: Any, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **{**named, "max_line": ENDLESS})

    setattr(lines.Lines, "__init__", begin)  # noqa: B010 - another shape on purpose


def entities() -> None:
    """XML may declare entities, files of this machine among them."""

    def parser() -> expat.XMLParserType:
        made = expat.ParserCreate()
        made.buffer_text = True

        def read(inner: str, _base: str | None, system: str | None, _public: str | None) -> int:
            made.ExternalEntityParserCreate(inner).Parse(Path(system or "").read_bytes(), True)
            return 1

        made.ExternalEntityRefHandler = read
        return made

    setattr(xmltree, "parser", parser)  # noqa: B010 - another shape on purpose


def unpacks_all() -> None:
    """An archive may unpack to whatever it likes."""
    for limit in ("MOST_UNPACKED", "MOST_RATIO"):
        setattr(spreadsheets, limit, ENDLESS)


def names_as_they_are() -> None:
    """A file's name goes on as the system gave it."""
    setattr(files._Look, "shown", property(lambda self: self.name))  # noqa: B010 - another shape on purpose


def follows_links() -> None:
    """A link in a folder is a file of that folder."""

    def listed(self: Any) -> list[files._Look]:
        folder = self._options.path
        return [files._Look.of(path.name, path.stat()) for path in folder.glob("*.csv") if path.is_file()]

    setattr(files.FileLink, "_list", listed)  # noqa: B010 - another shape on purpose
    setattr(files.FileLink, "_unchanged", lambda _self, _look: True)  # noqa: B010 - another shape on purpose
    setattr(files, "_content", lambda path, _most: path.read_bytes())  # noqa: B010 - another shape on purpose


def formulas_run() -> None:
    """A text goes into a table as it came."""
    setattr(export, "_cell", lambda value: value)  # noqa: B010 - another shape on purpose


def markup_runs() -> None:
    """The page takes texts for markup, and the browser is not told what may run."""
    pages = Path(sys.argv[-1]).parent / "pages"  # beside the configuration, and gone with it
    shutil.copytree(api.PAGES, pages)
    dom = pages / "dom.js"
    append = "if (child) made.append(child);"
    markup = 'if (typeof child === "string") made.insertAdjacentHTML("beforeend", child); else ' + append
    text = dom.read_text()
    assert append in text
    dom.write_text(text.replace(append, markup, 1).replace(".textContent = text", ".innerHTML = text"))
    setattr(api, "PAGES", pages)  # noqa: B010 - a constant
    setattr(guard, "HEADERS", guard.HEADERS[1:])  # noqa: B010 - a constant
