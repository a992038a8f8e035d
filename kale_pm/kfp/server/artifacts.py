"""The artifacts of a run: where they lie, and what is in them.

Everything that depends on how KFP keeps its artifacts stands here.  The servers of today have
no way to ask where the outputs of a step lie, so the log of the step says it; later ones will
answer (``native_uris``).
"""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import quote, urlsplit

from kale_pm.errors import ServerError
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.raw import Route, first_answer
from kale_pm.runtime.atomic import replacing

WANTED = frozenset({"notebook", "state"})  # the outputs of a step that are fetched
# Schemes of URIs, and what the user interface calls them in its addresses.
_SOURCES = {"minio": "minio", "s3": "s3", "gs": "gcs"}


def sibling(uri: str, output: str) -> str:
    """Where another output of the same task lies: KFP puts them all into one folder.

    >>> sibling("minio://mlpipeline/v2/artifacts/wine/1/train/9/context", "notebook")
    'minio://mlpipeline/v2/artifacts/wine/1/train/9/notebook'
    """
    address, mark, query = uri.partition("?")
    return f"{address.rpartition('/')[0]}/{output}{mark}{query}"


def download_object(connection: Connection, uri: str, target: Path) -> None:
    """Write the artifact at ``uri``, which is a file, to ``target``.

    Raises ServerError if it cannot be had, OSError if it cannot be written.
    """
    _write(_content(connection, uri), target)


def download_file(connection: Connection, uri: str, name: str, target: Path) -> None:
    """Write the file ``name`` of the folder artifact at ``uri`` to ``target``.

    A folder lies in the store file by file; what serves it may also give the whole folder as
    an archive.  Raises ServerError if it cannot be had, OSError if it cannot be written.
    """
    try:
        _write(_content(connection, _inside(uri, name)), target)
    except ServerError as error:
        if error.status is None or error.status in (401, 403):
            raise
        try:
            _unpack(_content(connection, uri), name, target)
        except tarfile.TarError:
            raise error from None


def _content(connection: Connection, uri: str) -> Iterator[bytes]:
    """The bytes of an artifact, through the server of the user interface."""
    parts = urlsplit(uri)
    if parts.scheme not in _SOURCES:
        raise ServerError(
            f"nothing here can fetch {uri}",
            hint="the user interface of KFP serves minio://, s3:// and gs://; copy it by hand",
            status=404,
        )
    source, bucket, key = _SOURCES[parts.scheme], parts.netloc, parts.path.lstrip("/")
    namespace = {"namespace": connection.namespace} if connection.namespace else {}
    try:
        return first_answer(
            connection,
            f"fetch {uri}",
            [Route(f"/artifacts/{source}/{quote(bucket)}/{quote(key)}", namespace)],
        )
    except ServerError as error:
        if error.status in (200, 404):
            hint = (
                "artifacts come from the user interface: is the host its address, not that of "
                "the API server alone (port-forward svc/ml-pipeline-ui)? else it is gone"
            )
            raise ServerError(error.message, hint=hint, status=404) from None
        raise


def _inside(uri: str, name: str) -> str:
    address, mark, query = uri.partition("?")
    return f"{address.rstrip('/')}/{quote(name)}{mark}{query}"


def _write(chunks: Iterator[bytes], target: Path) -> None:
    with replacing(target) as temporary, temporary.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)


def _unpack(chunks: Iterator[bytes], name: str, target: Path) -> None:
    """Write the one file of the archive; tarfile.TarError if it is none, or has it not."""
    with TemporaryFile() as packed:
        for chunk in chunks:
            packed.write(chunk)
        packed.seek(0)
        with tarfile.open(fileobj=packed) as archive:
            for member in archive:
                if member.isfile() and PurePosixPath(member.name).name == PurePosixPath(name).name:
                    content = archive.extractfile(member)
                    if content is not None:
                        with replacing(target) as temporary, temporary.open("wb") as file:
                            shutil.copyfileobj(content, file)
                        return
    raise tarfile.ReadError(f"there is no {name} in it")


def native_uris(connection: Connection, run: str) -> dict[tuple[str, str], str]:
    """Where the outputs of a run lie, by the name of the task and of the output.

    Servers from KFP 2.18 on tell it; of others nothing is known.  Raises ServerError if the
    server cannot be reached.
    """
    found: dict[tuple[str, str], str] = {}
    try:
        for link in _links(connection, run):
            task, output = link.get("producer", {}).get("task_name", ""), link.get("key", "")
            if task and output in WANTED:
                path = f"/apis/v2beta1/artifacts/{quote(str(link['artifact_id']), safe='')}"
                if uri := _object(connection, Route(path)).get("uri"):
                    found[task, output] = str(uri)
    except ServerError as error:
        if error.status is None:
            raise
    except (KeyError, TypeError, AttributeError):
        pass  # an API that is not the one this was written for
    return found


def _links(connection: Connection, run: str) -> Iterator[Mapping[str, Any]]:
    """Which task of the run has given which artifact."""
    token = ""
    while True:
        query = {"run_ids": run, "type": "OUTPUT", "page_size": "200"}
        if token:
            query["page_token"] = token
        page = _object(connection, Route("/apis/v2beta1/artifact_tasks", query))
        yield from page.get("artifact_tasks", ())
        token = str(page.get("next_page_token") or "")
        if not token:
            return


def _object(connection: Connection, route: Route) -> dict[str, Any]:
    """The JSON object at ``route``, an empty one for anything else."""
    text = b"".join(first_answer(connection, "look for the artifacts of the run", [route]))
    with suppress(ValueError):
        content = json.loads(text)
        if isinstance(content, dict):
            return content
    return {}
