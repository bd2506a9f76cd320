"""The full-screen view of `hardy top`: tables of processes, queues, locks and pools, kept up to date."""

from __future__ import annotations

import os
import signal
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Header, Input, Static, TabbedContent, TabPane

from hardy._core import runtime
from hardy.observe.doctor import stack_from_outside
from hardy.observe.rates import History
from hardy.observe.rows import TABLES, Row
from hardy.observe.snapshot import Process, Snapshot, Watcher

__all__ = ["TopApp"]


class ConfirmScreen(ModalScreen[bool]):
    """Asks before a signal is sent."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question, and how to answer it."""
        with Vertical(classes="dialog"):
            yield Static(self._question, markup=False)
            yield Static("y: yes    n: no", markup=False)

    def action_answer(self, yes: bool) -> None:
        """Close it."""
        self.dismiss(yes)


class TextScreen(ModalScreen[None]):
    """Shows a text until a key is pressed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "close", "Close")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        """The text."""
        with VerticalScroll(classes="dialog"):
            yield Static(self.text, markup=False)

    def action_close(self) -> None:
        """Close it."""
        self.dismiss(None)


class TopApp(App[None]):
    """The view.

    Args:
        interval_s: seconds between two looks.
        pids: the processes whose programs are shown; None: all.
    """

    TITLE = "hardy top"
    CSS = """
    DataTable { height: 1fr; }
    #filter { display: none; }
    #filter.shown { display: block; }
    ModalScreen { align: center middle; }
    .dialog { width: 90%; max-height: 80%; height: auto; border: round $primary; padding: 1 2; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "show('processes')", "Processes", show=False),
        Binding("2", "show('queues')", "Queues", show=False),
        Binding("3", "show('locks')", "Locks", show=False),
        Binding("4", "show('pools')", "Pools", show=False),
        Binding("s", "sort", "Sort by next column"),
        Binding("r", "reverse", "Reverse"),
        Binding("f", "filter", "Filter"),
        Binding("p", "pause", "Pause"),
        Binding("d", "stack", "Stack"),
        Binding("t", "end('SIGTERM')", "Terminate"),
        Binding("k", "end('SIGKILL')", "Kill"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, interval_s: float = 1.0, pids: set[int] | None = None) -> None:
        super().__init__()
        self._interval_s, self._pids = interval_s, pids
        self._watcher, self._history = Watcher(), History()
        self._snapshot: Snapshot | None = None
        self._is_paused = False
        self._needle = ""
        # Of each table: the column it is sorted by (-1: as it comes), and whether the largest comes first.
        self._order = dict.fromkeys(TABLES, (-1, False))
        self._rows: dict[str, dict[str, Row]] = {name: {} for name in TABLES}

    def compose(self) -> ComposeResult:
        """Tabs of tables, and a line for the filter."""
        yield Header()
        with TabbedContent(initial="processes-tab"):
            for number, name in enumerate(TABLES, 1):
                with TabPane(f"{number} {name.capitalize()}", id=f"{name}-tab"):
                    yield DataTable(id=name, cursor_type="row", zebra_stripes=True)
        yield Input(placeholder="show only lines with this in them; Enter", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        """Make the columns, and begin to look."""
        self.look()
        self.set_interval(self._interval_s, self.look)
        self._table("processes").focus()

    def on_unmount(self) -> None:
        """Give the memory back."""
        self._watcher.close()

    # ---- what is shown ----

    def look(self) -> None:
        """Take a snapshot and show it, unless paused."""
        if self._is_paused:
            return
        self._snapshot = self._watcher.take()
        self._history.add(self._snapshot)
        self._show_all()

    def _show_all(self) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            return
        programs = snapshot.programs_of(self._pids)
        count = sum(len(each.processes) for each in programs)
        paused = ", paused" if self._is_paused else ""
        self.sub_title = f"{len(programs)} program(s), {count} process(es){paused}"
        for name, (_, make) in TABLES.items():
            rows = make(snapshot, self._history, programs)
            self._fill(name, [row for row in rows if self._needle in " ".join(row.cells).lower()])

    def _fill(self, name: str, rows: list[Row]) -> None:
        table = self._table(name)
        column, reverse = self._order[name]
        if column >= 0:
            rows.sort(key=lambda row: row.sort_key(column), reverse=reverse)
        selected = self._selected(name)
        titles = [
            title + ("" if at != column else " ▼" if reverse else " ▲") for at, title in enumerate(TABLES[name][0])
        ]
        table.clear(columns=True)
        table.add_columns(*titles)
        self._rows[name] = {row.key: row for row in rows}
        for row in rows:
            table.add_row(*map(Text, row.cells), key=row.key)
        if selected is not None and selected.key in self._rows[name]:
            table.move_cursor(row=[row.key for row in rows].index(selected.key))

    def _table(self, name: str) -> DataTable[Any]:
        table: DataTable[Any] = self.query_one(f"#{name}", DataTable)
        return table

    @property
    def current(self) -> str:
        """The table that is in front."""
        return self.query_one(TabbedContent).active.removesuffix("-tab")

    def _selected(self, name: str) -> Row | None:
        table = self._table(name)
        keys = list(self._rows[name])
        return self._rows[name][keys[table.cursor_row]] if 0 <= table.cursor_row < len(keys) else None

    # ---- keys ----

    def action_show(self, name: str) -> None:
        """Bring a table to the front."""
        self.query_one(TabbedContent).active = f"{name}-tab"
        self._table(name).focus()

    def action_sort(self) -> None:
        """Sort by the next column; after the last, as it comes."""
        column, reverse = self._order[self.current]
        columns = len(TABLES[self.current][0])
        self._order[self.current] = (column + 2) % (columns + 1) - 1, reverse
        self._show_all()

    def action_reverse(self) -> None:
        """The other way round."""
        column, reverse = self._order[self.current]
        self._order[self.current] = column, not reverse
        self._show_all()

    def action_filter(self) -> None:
        """Ask what to show."""
        line = self.query_one("#filter", Input)
        line.add_class("shown")
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Show only lines with that text."""
        self._needle = event.value.lower()
        event.input.remove_class("shown")
        self._table(self.current).focus()
        self._show_all()

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self._is_paused = not self._is_paused
        self._show_all()

    def _process(self) -> Process | None:
        row = self._selected(self.current)
        if row is None or self._snapshot is None or row.pid is None:
            return None
        return self._snapshot.process(row.pid)

    def action_stack(self) -> None:
        """Show where the threads of a process are."""
        process = self._process()
        if process is None:
            self.notify("select a process first", severity="warning")
            return
        parts = [f"{process.name!r} (pid {process.pid}), {process.state}", process.trouble]
        for wait in process.waits:
            where = wait.stack.rstrip() or "  (shown after a second of waiting)"
            parts.append(f"thread {wait.tid}: {self._snapshot and self._snapshot.wait_text(wait)}\n{where}")
        if not process.waits and process.state != "zombie":
            parts.append(stack_from_outside(process.pid))
        self.push_screen(TextScreen("\n\n".join(part for part in parts if part)))

    def action_end(self, signal_name: str) -> None:
        """Send a signal to a process, after a question."""
        process = self._process()
        if process is None:
            self.notify("select a process first", severity="warning")
            return
        target, number = process, signal.Signals[signal_name]

        def answered(yes: bool | None) -> None:
            if yes:
                self.notify(send_signal(target, number))
                self.look()

        self.push_screen(ConfirmScreen(f"Send {signal_name} to {target.name!r} (pid {target.pid})?"), answered)


def send_signal(process: Process, number: signal.Signals) -> str:
    """Send a signal to exactly that process, and not to one that has its pid now; what came of it."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError as error:
        return f"{process.pid} has ended ({error.strerror})"
    try:
        if runtime.identity_of(process.pid) != process.identity:
            return f"{process.pid} has ended; the pid is another's now"
        signal.pidfd_send_signal(fd, number)
    except OSError as error:
        return f"{number.name} was not sent to {process.pid}: {error.strerror}"
    finally:
        os.close(fd)
    return f"sent {number.name} to {process.name!r} (pid {process.pid})"
