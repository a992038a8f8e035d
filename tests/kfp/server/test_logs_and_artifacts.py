"""Logs and files from wherever a server has them; what it refuses is told."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fake_kfp import Answer, Request, Trouble, serving
from fake_kfp_outputs import RUN, FakeKfpWithOutputs

from kale_pm.errors import ServerError
from kale_pm.kfp.server.artifacts import download_file, native_uris, sibling
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.logs import lines, read_log

LOG = f"GET /apis/v1alpha1/runs/{RUN}/nodes/pod-1/log"


@dataclass
class Objects(FakeKfpWithOutputs):
    """A server whose artifacts are what ``objects`` says, by the whole path."""

    objects: dict[str, Answer] = field(default_factory=dict)

    def _interface(self, request: Request, path: str) -> Answer:
        if path in self.objects:
            return self.objects[path]
        return super()._interface(request, path)


@pytest.fixture
def server() -> Iterator[Objects]:
    with serving(Objects()) as fake:
        assert isinstance(fake, Objects)
        yield fake


@pytest.fixture
def connection(server: Objects) -> Connection:
    return Connection(server.url, pause=0.0)


def packed(**files: str) -> Answer:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return Answer(content.getvalue(), 200, "application/gzip")


class TestLogs:
    def test_lines_are_whole_however_they_arrive(self) -> None:
        text = "first\r\nsecond ü\n\nlast".encode()
        for size in (1, 3, 100):
            pieces = [text[start : start + size] for start in range(0, len(text), size)]
            assert list(lines(iter(pieces))) == ["first", "second ü", "", "last"]

    def test_text_that_is_no_utf8_is_shown_as_far_as_it_can_be(self) -> None:
        assert list(lines(iter([b"caf\xe9 \n"]))) == ["caf\ufffd "]

    def test_a_log_that_is_gone(self, connection: Connection) -> None:
        with pytest.raises(ServerError, match="the log of pod pod-1 is not there") as refused:
            read_log(connection, RUN, "pod-1")
        assert refused.value.status == 404

    def test_what_is_forbidden_says_more_than_what_is_not_there(
        self, server: Objects, connection: Connection
    ) -> None:
        server.troubles = [Trouble(LOG, Answer({"message": "no"}, 403), times=9)]
        with pytest.raises(ServerError) as refused:
            read_log(connection, RUN, "pod-1")
        assert refused.value.status == 403

    def test_a_page_for_people_is_no_log(self, server: Objects, connection: Connection) -> None:
        server.troubles = [Trouble(LOG, Answer("<html>", 200, "text/html"), times=9)]
        server.log_route = "v2beta1"
        server.logs["pod-1"] = b"text"
        assert list(read_log(connection, RUN, "pod-1")) == ["text"]

    def test_a_server_that_is_not_there(self) -> None:
        with pytest.raises(ServerError) as refused:
            read_log(Connection("http://127.0.0.1:1", pause=0.0), RUN, "pod-1")
        assert refused.value.status is None


class TestFiles:
    @pytest.mark.parametrize(
        ("uri", "path"),
        [
            ("minio://bucket/a/state", "/artifacts/minio/bucket/a/state/x.pack"),
            ("s3://bucket/a/state?region=eu", "/artifacts/s3/bucket/a/state/x.pack"),
            ("gs://bucket/a b/state", "/artifacts/gcs/bucket/a%20b/state/x.pack"),
        ],
    )
    def test_each_kind_of_store_has_its_address(
        self, server: Objects, connection: Connection, tmp_path: Path, uri: str, path: str
    ) -> None:
        server.objects[path] = Answer(b"\x00\x1f\x8b", 200, "application/octet-stream")
        download_file(connection, uri, "x.pack", tmp_path / "deep" / "x.pack")
        assert (tmp_path / "deep" / "x.pack").read_bytes() == b"\x00\x1f\x8b"

    def test_the_right_file_is_taken_out_of_an_archive(
        self, server: Objects, connection: Connection, tmp_path: Path
    ) -> None:
        archive = packed(**{"notebook/other.ipynb": "1", "notebook/a.ipynb": "2"})
        server.objects["/artifacts/minio/b/notebook"] = archive
        download_file(connection, "minio://b/notebook", "a.ipynb", tmp_path / "a.ipynb")
        assert (tmp_path / "a.ipynb").read_text() == "2"

    @pytest.mark.parametrize(
        "answer", [packed(other="1"), Answer(b"no archive", 200, "application/gzip")]
    )
    def test_an_archive_without_it_leaves_nothing(
        self, server: Objects, connection: Connection, tmp_path: Path, answer: Answer
    ) -> None:
        server.objects["/artifacts/minio/b/notebook"] = answer
        with pytest.raises(ServerError):
            download_file(connection, "minio://b/notebook", "a.ipynb", tmp_path / "a.ipynb")
        assert list(tmp_path.iterdir()) == []

    def test_a_store_that_nobody_serves(self, connection: Connection, tmp_path: Path) -> None:
        with pytest.raises(ServerError, match="nothing here can fetch oci://") as refused:
            download_file(connection, "oci://b/notebook", "a.ipynb", tmp_path / "a.ipynb")
        assert "minio://" in refused.value.hint

    def test_what_is_forbidden_is_not_asked_for_twice(
        self, server: Objects, connection: Connection, tmp_path: Path
    ) -> None:
        server.objects["/artifacts/minio/b/notebook/a.ipynb"] = Answer("no", 403, "text/plain")
        with pytest.raises(ServerError) as refused:
            download_file(connection, "minio://b/notebook", "a.ipynb", tmp_path / "a.ipynb")
        assert refused.value.status == 403
        assert len(server.asked) == 1


class TestWhereArtifactsLie:
    def test_outputs_of_a_task_lie_side_by_side(self) -> None:
        assert sibling("s3://b/r/train/9/context?region=eu", "state") == (
            "s3://b/r/train/9/state?region=eu"
        )

    def test_a_server_that_knows_tells_page_by_page(
        self, server: Objects, connection: Connection
    ) -> None:
        server.native = {
            ("step-a", "notebook"): "minio://b/1/notebook",
            ("step-a", "html"): "minio://b/1/html",
            ("step-b", "state"): "minio://b/2/state",
        }
        assert native_uris(connection, RUN) == {
            ("step-a", "notebook"): "minio://b/1/notebook",
            ("step-b", "state"): "minio://b/2/state",
        }

    @pytest.mark.parametrize("content", [[], {"artifact_tasks": [1]}, {"artifact_tasks": None}])
    def test_one_that_does_not_know_tells_nothing(
        self, server: Objects, connection: Connection, content: Any
    ) -> None:
        assert native_uris(connection, RUN) == {}
        asked = "GET /apis/v2beta1/artifact_tasks"
        server.troubles = [Trouble(asked, Answer(content), times=9)]
        assert native_uris(connection, RUN) == {}
