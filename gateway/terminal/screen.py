"""The view itself: lists, keys, and what the keys ask of the gateway."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Final

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.style import Style
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from gateway.terminal import rows
from gateway.terminal.connection import Address, RefusedError, ask, follow
from gateway.terminal.dialogs import HELP, Ask, Page
from gateway.terminal.picture import Picture
from gateway.terminal.rows import Row
from gateway.terminal.said import Alarm, Device, Message, Seen, Snapshot
from gateway.terminal.words import plain

DRAWN: Final = 0.5  # seconds
REASON: Final = ("reason", "why", "")
ACTIONS: Final = {  # what each asks for: name, words, first value
    "acknowledge": (("comment", "comment (may stay empty)", ""),),
    "shelve": (("minutes", "for how many minutes", "60"), REASON),
    "unshelve": (),
    "reset": (("comment", "comment (may stay empty)", ""),),
}
LISTS: Final[dict[str, Callable[[Picture, int], Iterator[Row]]]] = {
    "alarms": rows.alarms,
    "devices": rows.devices,
    "results": rows.results,
    "troubles": rows.troubles,
}


EMPTY: Final = {"alarms": "no alarms", "devices": "no devices", "results": "no results", "troubles": "no trouble"}


class Lines(OptionList):
    """Rows that are drawn anew again and again: the mark stays on the one it was on."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name, markup=False, compact=True)
        self.border_title = {"troubles": "gateway"}.get(name, name)
        self.rows: list[Row] = []

    def get_visual_style(self, *component_classes: str, partial: bool = False) -> Style:
        """The mark is seen without colours too: style sheets do not bring `reverse` this far."""
        style = super().get_visual_style(*component_classes, partial=partial)
        marked = self.has_focus and "option-list--option-highlighted" in component_classes
        return style + Style(reverse=True) if marked else style

    def draw(self, shown: list[Row]) -> None:
        before, self.rows = self.rows, shown
        if [one.key for one in before] == [one.key for one in shown]:
            for place, (old, new) in enumerate(zip(before, shown, strict=True)):
                if old.line != new.line:
                    self.replace_option_prompt_at_index(place, new.line)
            return
        marked = before[self.highlighted].key if self.highlighted is not None else None
        top = self.scroll_offset.y
        self.set_options(Option(one.line, disabled=one.of is None) for one in shown)
        self.scroll_to(y=top, animate=False)
        keys = [one.key for one in shown]
        first = next((place for place, one in enumerate(shown) if one.of is not None), None)
        self.highlighted = keys.index(marked) if marked in keys else first

    @property
    def marked(self) -> Row | None:
        return self.rows[self.highlighted] if self.highlighted is not None and self.rows else None


class Watch(App[None]):
    """One gateway on a terminal."""

    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012 - declared so by its library
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "act('acknowledge')", "Acknowledge"),
        Binding("s", "act('shelve')", "Shelve"),
        Binding("u", "act('unshelve')", "Unshelve", show=False),
        Binding("r", "act('reset')", "Reset", show=False),
        Binding("d", "details", "Device"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q,ctrl+c", "quit", "Quit", key_display="q"),
        Binding("right", "app.focus_next", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("escape", "unfilter", show=False),
    ]
    CSS = """
    Screen { layout: vertical; background: ansi_default; color: ansi_default; }
    #head { height: 1; text-wrap: nowrap; text-overflow: ellipsis; text-style: bold; }
    #head.old { background: ansi_red; color: ansi_bright_white; }
    #sought { display: none; height: 1; border: none; padding: 0; }
    #sought.on { display: block; }
    Lines { border: none; border-top: solid ansi_default; padding: 0; height: 1fr; background: ansi_default;
            text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1; }
    Lines:focus { border: none; border-top: heavy ansi_cyan; background-tint: ansi_default 0%; }
    Lines > .option-list--option-highlighted, Lines:focus > .option-list--option-highlighted {
        background: ansi_default; color: ansi_default; text-style: none; }
    Lines > .option-list--option-disabled { color: ansi_default; }
    #alarms { height: auto; min-height: 3; max-height: 50%; }
    #troubles { height: auto; min-height: 2; max-height: 5; }
    #left { height: 5fr; } #right { height: 2fr; }
    .-wide #lists { layout: horizontal; } .-wide #left { width: 3fr; height: 1fr; }
    .-wide #right { width: 2fr; height: 1fr; }
    Ask, Page { align: center middle; background: ansi_default; }
    Ask > Vertical { width: 76; max-width: 100%; height: auto; border: solid ansi_cyan; padding: 0 1; }
    Ask Input { border: none; height: 1; padding: 0; margin: 0 0 1 0;
                background: ansi_blue; color: ansi_bright_white; }
    .of { color: ansi_cyan; }
    """

    def __init__(self, address: Address, by: str = "") -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.picture = Picture()
        self._address, self._by = address, by
        self._sought = ""
        self._head = Static(id="head")
        self._lists = {name: Lines(name) for name in LISTS}

    def compose(self) -> ComposeResult:
        yield self._head
        yield Input(id="sought", placeholder="words to look for", compact=True)
        with Container(id="lists"):
            with Vertical(id="left"):
                yield self._lists["alarms"]
                yield self._lists["devices"]
            with Vertical(id="right"):
                yield self._lists["results"]
                yield self._lists["troubles"]
        yield Footer(compact=True)

    def on_mount(self) -> None:
        self._lists["alarms"].focus()
        self.set_interval(DRAWN, self._draw)
        self.run_worker(follow(self._address, self._take, self.picture.lost))
        self._draw()

    def _take(self, message: Message | None) -> None:
        self.picture.take(message)
        if isinstance(message, Snapshot):
            self._recognise()

    @work(exclusive=True, group="person")
    async def _recognise(self) -> None:
        """Where people are configured, the name that the gateway will write down, whatever is sent."""
        with contextlib.suppress(RefusedError):
            name = (await ask(self._address, "person")).get("name")
            self._by = plain(str(name)) if name else self._by

    def _draw(self) -> None:
        said, old = rows.heading(self.picture, self._address.url)
        if self._sought:
            said = f"ONLY LINES WITH {self._sought!r} | {said}"
        self._head.set_class(old, "old").update(Content(said))
        for name, lines in self._lists.items():
            shown: Iterable[Row] = LISTS[name](self.picture, max(20, lines.scrollable_content_region.width))
            found = [one for one in shown if not self._sought or one.has(self._sought)]
            if not found and self.picture.heard is not None:
                found = [Row("", Content(f"{EMPTY[name]}{' with these words' if self._sought else ''}"))]
            lines.draw(found)

    def _marked(self) -> Alarm | Device | Seen | None:
        row = self.focused.marked if isinstance(self.focused, Lines) else None
        return row.of if row else None

    @work
    async def action_act(self, action: str) -> None:
        """Ask the person for what the action needs, then the gateway to do it."""
        alarm = self._marked()
        if not isinstance(alarm, Alarm):
            self._tell("Go to an alarm first: tab, then up or down.")
            return
        asked = [] if self._by else [("by", "your name", "")]
        told: dict[str, Any] | None = {}
        if asked or ACTIONS[action]:
            title = f"{action.capitalize()}: {alarm.title} | {alarm.device} {alarm.quantity}"
            told = await self.push_screen_wait(Ask(title, [*asked, *ACTIONS[action]]))
        if told is None:
            return
        self._by = told.setdefault("by", self._by)
        try:
            await ask(self._address, "alarms", alarm.id, action, body=told)
        except RefusedError as error:
            self._tell(f"Not done: {error}", severity="error")
        else:
            self._tell(f"{action.capitalize()}: done, by {self._by}.")

    def _tell(self, text: str, severity: Any = "information") -> None:
        self.notify(text, severity=severity, timeout=15 if severity == "error" else 5, markup=False)

    def action_details(self) -> None:
        marked = self._marked()
        name = marked.device if isinstance(marked, Alarm | Seen) else marked.id if marked else ""
        device = self._device(name)
        if device is None:
            self._tell("Go to a device first: tab, then up or down.")
            return
        raw = max((one.raw for one in self.picture.shown(name)), default=None)
        if isinstance(marked, Seen):
            raw = marked.raw
        latest = device  # a reload may take the device away while its page is open

        def lines() -> Iterable[Content]:
            return rows.details(self.picture, self._device(name) or latest)

        self.push_screen(Page(lines, self._address, raw))

    def on_option_list_option_selected(self) -> None:
        self.action_details()

    def _device(self, name: str) -> Device | None:
        return next((one for one in self.picture.devices if one.id == name), None)

    def action_help(self) -> None:
        self.push_screen(Page(lambda: [Content(HELP)]))

    def action_filter(self) -> None:
        self.query_one("#sought").add_class("on").focus()

    def action_unfilter(self) -> None:
        sought = self.query_one("#sought", Input)
        sought.value = ""
        sought.remove_class("on")
        self._lists["alarms"].focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "sought":
            self._sought = event.value.casefold()
            self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "sought":
            self._lists["alarms"].focus()
