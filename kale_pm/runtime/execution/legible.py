"""Messages with half of a surrogate pair, which is no character: an escape takes its place.

Names of files that are no UTF-8 bring one into a text, and so does JSON of others.  A kernel by
itself sends a byte that nobody can read in its place, or cannot send the message at all.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_client.session import Session

_LONE = re.compile("[\ud800-\udfff]")


def read_legibly(session: Session) -> None:
    r"""Let the session of a client read what is no UTF-8 as escapes such as ``\udce4``."""
    unpack = session.unpack
    session.unpack = lambda message: unpack(_legible(message))


def write_legibly(session: Session) -> None:
    """Let the session of a kernel send what it could not."""
    from jupyter_client.jsonutil import json_default

    pack = session.pack

    def pack_all(content: Any) -> bytes:
        try:
            return bytes(pack(content))
        except UnicodeEncodeError:
            text = json.dumps(content, default=json_default, ensure_ascii=False, allow_nan=False)
            return _with_escapes(text).encode()

    session.pack = pack_all


def _legible(message: bytes | str) -> bytes | str:
    if isinstance(message, str):
        return message
    try:
        message.decode()
    except UnicodeDecodeError:
        return _with_escapes(message.decode("utf-8", "surrogateescape")).encode()
    return message


def _with_escapes(text: str) -> str:
    # In JSON a backslash is two.
    return _LONE.sub(lambda half: rf"\\u{ord(half[0]):04x}", text)
