"""What the messages of a kernel make of a cell: its outputs, within limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellExecutionComplete
from papermill.clientwrap import PapermillNotebookClient

from kale_pm.runtime.execution.connection import Connection, Message
from kale_pm.runtime.execution.failure import LEFT

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from kale_pm.runtime.execution.keeper import Keeper

TEXT = 32_000_000  # characters that one output of a cell keeps of what the cell prints
PICTURES = 100_000_000  # bytes that a cell keeps of pictures, tables and all else it displays

_RICH = ("display_data", "execute_result", "update_display_data")
# A progress bar goes back to the start of its line to write it again.
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\n\r])")


class Text(list[str]):
    """The pieces of a printed text: all of it, or its first and its last part."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._half = most // 2
        self._room = self._half  # characters that the first part still takes
        self._first = 0  # pieces of the first part
        self._last = 0  # characters of the last part
        self._left_out = 0

    def add(self, piece: str) -> None:
        if self._room > 0:
            head, piece = piece[: self._room], piece[self._room :]
            self.append(head)
            self._first += 1
            self._room -= len(head)
        if not piece:
            return
        self.append(piece)
        self._last += len(piece)
        if self._last > self._half:
            self._shorten()

    def _shorten(self) -> None:
        if self._left_out:
            self.pop(self._first)
        while self._last > self._half:
            excess = self._last - self._half
            oldest = self.pop(self._first)
            gone = min(excess, len(oldest))
            if gone < len(oldest):
                self.insert(self._first, oldest[gone:])
            self._last -= gone
            self._left_out += gone
        note = f"\n[kale-pm left out {self._left_out / 1e6:.1f} million characters here]\n"
        self.insert(self._first, note)

    def __str__(self) -> str:
        text = "".join(self)
        return _OVERWRITTEN.sub("", text) if "\r" in text else text


class Recorder(PapermillNotebookClient):  # type: ignore[misc]
    """Puts into the notebook what the kernel says: outputs, displays that change, widgets.

    nbclient knows how; here it is only told of the messages.
    """

    def __init__(self, keeper: Keeper, connection: Connection, **options: Any) -> None:
        super().__init__(keeper, **options)
        self.kc = _Channels(connection)
        self._shown: dict[int, int] = {}  # bytes that each cell has displayed
        self._refused: dict[int, int] = {}

    def release(self) -> None:
        """Let go of the notebook when nothing more is to be recorded.

        nbclient keeps a method of its own object, and so in many steps one after another the
        notebooks would stay in memory until the next collection of garbage.
        """
        self.comm_open_handlers.clear()

    def begin(self, cell: NotebookNode) -> None:
        """The cell is about to run."""
        cell["metadata"]["execution"] = {}  # nbclient notes there when what came
        cell.outputs = []
        self.clear_before_next_output = False

    def record(self, message: Message, cell: NotebookNode, index: int) -> None:
        """Put a message from iopub into the cell that it is about."""
        if message.is_unread or (message.kind in _RICH and not self._fits(message, index)):
            self._refuse(message, cell, index)
            return
        try:
            output = super(PapermillNotebookClient, self).process_message(message.raw, cell, index)
        except CellExecutionComplete:
            return
        if message.kind == "stream":
            content = message.content
            self.nb_man.monitor.output(content["name"], content["text"])
            output = output or {"output_type": "stream", **content}
        if output and (self.log_output or self.stdout_file or self.stderr_file):
            self.log_output_message(output if hasattr(output, "output_type") else _node(output))

    def output(
        self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> Any:
        if msg["msg_type"] != "stream" or self.output_hook_stack[msg["parent_header"]["msg_id"]]:
            return super().output(outs, msg, display_id, cell_index)
        content = msg["content"]
        last = outs[-1] if outs and not self.clear_before_next_output else {}
        if last.get("name") != content["name"] or not isinstance(last["text"], Text):
            if super().output(outs, msg, display_id, cell_index) is None:
                return None
            last = outs[-1]
            last["text"] = Text(TEXT)
        last["text"].add(content["text"])
        return None

    def note_exit(self, cell: NotebookNode) -> None:
        """The cell has called ``exit()``: that is the end of the step, as ``sys.exit()`` is."""
        error = {"output_type": "error", "ename": "SystemExit", "evalue": LEFT}
        cell.outputs.append(_node({**error, "traceback": [f"SystemExit: {LEFT}"]}))

    def settle(self, cell: NotebookNode) -> None:
        """The cell has ended: put the pieces of what it printed together."""
        for output in cell.outputs:
            if isinstance(output.get("text"), Text):
                output["text"] = str(output["text"])

    def _fits(self, message: Message, index: int) -> bool:
        shown = self._shown.get(index, 0) + message.size
        if shown <= PICTURES:
            self._shown[index] = shown
        return shown <= PICTURES

    def _refuse(self, message: Message, cell: NotebookNode, index: int) -> None:
        self._refused[index] = self._refused.get(index, 0) + 1
        if self._refused[index] > 1:
            return
        size = f"{message.size / 1e6:.0f} MB"
        text = (
            f"an output of {size} was left out, as others of this cell may be: a notebook keeps "
            f"{PICTURES / 1e6:.0f} MB of what a cell displays. Save such data as a file\n"
        )
        self.nb_man.monitor.warn(text.strip())
        cell.outputs.append(
            _node({"output_type": "stream", "name": "stderr", "text": "kale-pm: " + text})
        )


class _Channels:
    """As much of a jupyter_client as nbclient's output widgets need to answer the kernel."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.session = connection.session
        self.shell_channel = self

    def send(self, message: Mapping[str, Any]) -> None:
        self._connection.forward(message)


def _node(output: Mapping[str, Any]) -> Any:
    from nbformat import from_dict

    return from_dict(output)
