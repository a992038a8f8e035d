"""The sockets between us and one kernel, and the messages that go over them.

A blocking connection of one thread: a cell costs one poll and a few messages, where an event
loop of its own would cost more than most cells do.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kale_pm.runtime.execution.legible import read_legibly

if TYPE_CHECKING:
    import zmq
    from jupyter_client.connect import ConnectionFileMixin
    from jupyter_client.session import Session

LARGEST = 256_000_000  # bytes of a message that is read; one that is larger is only told of
_RETRY = 5  # milliseconds between two attempts to connect to a kernel that does not listen yet
_HEADER, _PARENT, _METADATA, _CONTENT = 1, 2, 3, 4  # frames of a message, after the signature
_OF_HEADERS = {"msg_id", "msg_type", "session", "date"}  # what all headers hold

_contexts: dict[int, zmq.Context[Any]] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Message:
    """One message of a kernel.

    ``parent`` is the id of the request that it answers.  ``size`` is in bytes; the content of
    a message of more than LARGEST is left unread, and empty.
    """

    channel: str
    kind: str
    parent: str
    raw: Mapping[str, Any]
    size: int

    @property
    def content(self) -> Mapping[str, Any]:
        content: Mapping[str, Any] = self.raw["content"]
        return content

    @property
    def is_unread(self) -> bool:
        return self.size > LARGEST


class Connection:
    """Sends requests to a kernel and receives what it says.

    ``places`` says where the kernel listens, and holds the key that signs the messages; its
    ``context`` is best the shared one.
    """

    def __init__(self, places: ConnectionFileMixin) -> None:
        import zmq

        self.session = places.session
        read_legibly(self.session)
        read_dates(self.session)
        self._sockets = {
            "shell": places.connect_shell(identity=self.session.bsession),
            "iopub": places.connect_iopub(),
            "control": places.connect_control(identity=self.session.bsession),
        }
        self._names = {socket: name for name, socket in self._sockets.items()}
        self._poller = zmq.Poller()
        for socket in (self._sockets["shell"], self._sockets["iopub"]):
            self._poller.register(socket, zmq.POLLIN)

    def watch(self, descriptor: int) -> None:
        """From now on ``receive`` also returns when ``descriptor`` becomes readable."""
        import zmq

        self._poller.register(descriptor, zmq.POLLIN)

    def send(self, channel: str, kind: str, content: Mapping[str, Any]) -> str:
        """Send a request; its id."""
        message = self.session.msg(kind, content=dict(content))
        self.session.send(self._sockets[channel], message)
        identity: str = message["header"]["msg_id"]
        return identity

    def execute(self, code: str, *, silent: bool = False, stop_on_error: bool = True) -> str:
        """Ask the kernel to run ``code``; the id of the request."""
        content = {
            "code": code,
            "silent": silent,
            "store_history": not silent,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": stop_on_error,
        }
        return self.send("shell", "execute_request", content)

    def receive(self, timeout: float) -> Iterator[Message]:
        """The messages that are there, or that come within ``timeout`` seconds."""
        ready = self._poller.poll(max(0, int(timeout * 1000 + 0.999)))
        # Outputs before the reply that they belong to.
        for name in ("iopub", "shell"):
            socket = self._sockets[name]
            if any(socket is each for each, _ in ready):
                yield from self._waiting(socket)

    def forward(self, message: Mapping[str, Any]) -> None:
        """Send a message that somebody else made for the shell channel."""
        self.session.send(self._sockets["shell"], message)

    def close(self) -> None:
        for socket in self._sockets.values():
            socket.close(linger=0)

    def _waiting(self, socket: zmq.Socket[Any]) -> Iterator[Message]:
        import zmq

        while True:
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            message = self._message(self._names[socket], frames)
            del frames
            if message is not None:
                yield message

    def _message(self, channel: str, frames: list[bytes]) -> Message | None:
        _, frames = self.session.feed_identities(frames)
        if len(frames) < _CONTENT + 1:
            return None
        size = sum(map(len, frames))
        if size > LARGEST:
            unpack = self.session.unpack
            raw = {"header": unpack(frames[_HEADER]), "parent_header": unpack(frames[_PARENT])}
            raw |= {"msg_type": raw["header"]["msg_type"], "metadata": {}, "content": {}}
        else:
            try:
                raw = self.session.deserialize(frames)
            except ValueError:  # not signed with our key, or not what a kernel says
                return None
        parent = raw["parent_header"].get("msg_id", "")
        return Message(channel, raw["msg_type"], parent, raw, size)


def read_dates(session: Session) -> None:
    """Let the session of a client read the dates of headers as Python itself does.

    jupyter_client reads those that are still texts with dateutil, which takes it as long as all
    else about a message.
    """
    unpack = session.unpack

    def read(frame: bytes) -> Any:
        content = unpack(frame)
        if isinstance(content, dict) and content.keys() >= _OF_HEADERS:
            with suppress(ValueError, TypeError):
                date = datetime.fromisoformat(content["date"])
                content["date"] = date if date.tzinfo else content["date"]
        return content

    session.unpack = read


class Stopwatch:
    """Seconds until a deadline; without one it never ends."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self, most: float) -> float:
        """The seconds that are left, ``most`` at most, 0 when the time is over."""
        if self._end is None:
            return most
        return max(0.0, min(most, self._end - time.monotonic()))

    @property
    def is_over(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end


def shared_context() -> zmq.Context[Any]:
    """The context of this process, whose sockets connect at once and drop nothing."""
    import zmq

    with _lock:
        found = _contexts.get(os.getpid())
        if found is None or found.closed:
            found = _contexts[os.getpid()] = zmq.Context()
            found.setsockopt(zmq.RECONNECT_IVL, _RETRY)
            found.setsockopt(zmq.RCVHWM, 0)
            found.setsockopt(zmq.LINGER, 0)
        return found
