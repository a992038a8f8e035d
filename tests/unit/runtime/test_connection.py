"""What is read of a kernel's messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from jupyter_client.session import Session

from kale_pm.runtime.execution.connection import read_dates

KEY = b"secret"


def frames(content: dict[str, Any], parent: dict[str, Any] | None = None) -> list[Any]:
    """A message as a kernel sends it."""
    kernel = Session(key=KEY)
    return list(kernel.feed_identities(kernel.serialize(kernel.msg("status", content, parent)))[1])


def test_dates_are_read_as_jupyter_client_reads_them() -> None:
    sent = frames({"execution_state": "idle"}, Session(key=KEY).msg("execute_request"))
    theirs = Session(key=KEY).deserialize(sent)
    session = Session(key=KEY)
    read_dates(session)
    ours = session.deserialize(sent)
    assert ours == theirs
    assert isinstance(ours["header"]["date"], datetime)
    assert isinstance(ours["parent_header"]["date"], datetime)


def test_what_a_cell_displays_stays_as_it_is() -> None:
    content = {"data": {"date": "2026-01-02T03:04:05Z"}, "date": "2026-01-02T03:04:05Z"}
    session = Session(key=KEY)
    read_dates(session)
    assert session.deserialize(frames(content))["content"] == content


@pytest.mark.parametrize("date", ["", "yesterday", "2026-01-02 03:04", None, 7])
def test_a_kernel_may_send_any_date(date: object) -> None:
    session = Session(key=KEY)
    read_dates(session)
    kernel = Session(key=KEY)
    message = kernel.msg("status", {})
    message["header"]["date"] = date
    sent = kernel.feed_identities(kernel.serialize(message))[1]
    assert session.deserialize(sent)["msg_type"] == "status"
