"""What lies over the lists: questions to the person, a device's details, the keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from gateway.terminal.connection import Address, RefusedError, ask
from gateway.terminal.words import clock, plain
from gateway.wire_text import dump

MOST_SHOWN: Final = 4096  # bytes of a message

HELP: Final = """\
up, down, page up, page down   move in a list      tab, left, right   another list
a   acknowledge the alarm, with a comment
s   shelve it for a time, with a reason            u   bring it back
r   reset an alarm that latches
d   (enter) the device: quantities, link, the last message in hex and text
/   show only lines with these words; escape shows all again
?   this page           escape   back              q   quit

alarms    !!! critical   !! high   ! medium   . low
          NEW           nobody has acknowledged it
          OVER,unseen   over by itself, and nobody has acknowledged it
devices   ok
          ~ STALE       no reading for four usual intervals
          - no data     nothing was heard of it yet
          x NO LINK     it cannot be heard
          x invalid     its last value is not to be used
          ? not known   the gateway itself is not heard
"""


class Ask(ModalScreen[dict[str, str] | None]):
    """Some lines to fill in; only a comment may stay empty. Enter goes on, from the last one answers; escape: None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, title: str, asked: Iterable[tuple[str, str, str]]) -> None:
        """`asked`: name, words and first value of each line."""
        super().__init__()
        self._title, self._asked = title, list(asked)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(Content(self._title))
            for name, words, value in self._asked:
                yield Label(Content(words), classes="of")
                yield Input(value, id=name, max_length=100 if name == "by" else 1000, compact=True)
            yield Label(Content("enter: go on   escape: leave it"), classes="of")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        inputs = list(self.query(Input))
        if event.input is not inputs[-1]:
            self.focus_next()
            return
        told = {str(one.id): one.value.strip() for one in inputs}
        empty = next((one for one in inputs if one.id != "comment" and not told[str(one.id)]), None)
        if empty:
            empty.focus()
        else:
            self.dismiss(told)


class Page(ModalScreen[None]):
    """Lines to read, made anew each second; below them a message's bytes where there is one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,d,question_mark", "dismiss(None)", "Back")]

    def __init__(
        self, lines: Callable[[], Iterable[Content]], address: Address | None = None, raw: int | None = None
    ) -> None:
        super().__init__()
        self._lines, self._address, self._raw = lines, address, raw

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(id="lines")
            yield Static(id="bytes")
        yield Label(Content("escape: back"), classes="of")

    async def on_mount(self) -> None:
        self._draw()
        self.set_interval(1.0, self._draw)
        if self._address is not None and self._raw is not None:
            self.run_worker(self._message(self._address, self._raw))

    def _draw(self) -> None:
        self.query_one("#lines", Static).update(Content("\n").join(self._lines()))

    async def _message(self, address: Address, raw: int) -> None:
        try:
            said = await ask(address, "raw", str(raw))
            data = bytes.fromhex(said["hex"])
            told = [f"raw {raw}, {clock(said['received'])}, {plain(str(said['state']))}, {len(data)} bytes"]
        except RefusedError as error:
            data, told = b"", [f"raw {raw}: {error}"]
        told += [plain(line) for line in dump(data[:MOST_SHOWN])]
        if len(data) > MOST_SHOWN:
            told.append(f"... and {len(data) - MOST_SHOWN} bytes more")
        self.query_one("#bytes", Static).update(Content("\n".join(["", *told])))
