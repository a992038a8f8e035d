"""How what a step carries travels: JSON, packed by zlib, in base64.

All bundles have the same frame around their code, and KFP keeps each of them several times.  So
both ends know that frame, and only what is different travels.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from kale_pm.runtime.pod.usual import USUAL


def packed(content: Any) -> str:
    """``content``, of which JSON can be made, as text; equal content gives equal text."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    packer = zlib.compressobj(level=9, zdict=USUAL)
    # Half of a surrogate pair has no UTF-8, but JSON has an escape for it.
    content = text.encode(errors="backslashreplace")
    return base64.b64encode(packer.compress(content) + packer.flush()).decode()


def unpacked(text: str) -> Any:
    """What was packed into ``text``.  Raises ValueError or zlib.error for another text."""
    unpacker = zlib.decompressobj(zdict=USUAL)
    return json.loads(unpacker.decompress(base64.b64decode(text)) + unpacker.flush())
