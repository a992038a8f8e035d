"""Pipelines and their versions on the server: one pipeline a notebook, one version a package.

The name of a version is the hash of its package, so the same package is never there twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kale_pm.kfp.server.connection import Connection, api_client
from kale_pm.kfp.server.paging import every, named
from kale_pm.kfp.server.posting import make_once
from kale_pm.kfp.server.refusal import refusals


@dataclass(frozen=True)
class Uploaded:
    """A version of a pipeline on the server; ``is_new`` says that this call brought it there."""

    pipeline_id: str
    version_id: str
    version: str
    is_new: bool


def version_name(package: bytes) -> str:
    """What the version of this package is called."""
    return f"kale-pm-{hashlib.sha256(package).hexdigest()[:12]}"


def upload_pipeline(
    connection: Connection, package: Path, *, name: str, description: str = ""
) -> Uploaded:
    """Bring the compiled pipeline to the server, unless it has this very package already.

    A pipeline of this ``name`` gets a new version; where there is none it is made.
    Raises ServerError.
    """
    version = version_name(package.read_bytes())
    with api_client(connection) as client:
        with refusals(connection, f"look up the pipeline {name}"):
            pipeline = _find_pipeline(client, connection, name)
        if pipeline is None:
            with refusals(connection, f"create the pipeline {name}"):
                pipeline = make_once(
                    connection,
                    lambda: _create_pipeline(client, connection, name, description),
                    lambda: _find_pipeline(client, connection, name),
                )
        with refusals(connection, f"look up the versions of the pipeline {name}"):
            found = _find_version(client, pipeline.pipeline_id, version)
        if found is not None:
            return Uploaded(pipeline.pipeline_id, found.pipeline_version_id, version, is_new=False)
        with refusals(connection, f"upload a version of the pipeline {name}"):
            made = make_once(
                connection,
                lambda: _upload_version(client, package, pipeline.pipeline_id, version),
                lambda: _find_version(client, pipeline.pipeline_id, version),
            )
    return Uploaded(pipeline.pipeline_id, made.pipeline_version_id, version, is_new=True)


def version_spec(connection: Connection, pipeline_id: str, version_id: str) -> dict[str, Any]:
    """The compiled pipeline of a version, as the server keeps it.  Raises ServerError."""
    from kfp_server_api import PipelineServiceApi

    with api_client(connection) as client, refusals(connection, "read the pipeline of the run"):
        api = PipelineServiceApi(client)
        found = api.pipeline_service_get_pipeline_version(pipeline_id, version_id)
        spec: dict[str, Any] = found.pipeline_spec or {}
        return spec


def _find_pipeline(client: Any, connection: Connection, name: str) -> Any | None:
    from kfp_server_api import ApiException, PipelineServiceApi

    api = PipelineServiceApi(client)
    try:
        return api.pipeline_service_get_pipeline_by_name(name, **_within(connection))
    except ApiException as error:
        if error.status == 404:
            return None
        raise


def _create_pipeline(client: Any, connection: Connection, name: str, description: str) -> Any:
    from kfp_server_api import PipelineServiceApi, V2beta1Pipeline

    # Without a first version, which would be called like the pipeline and not like its package.
    pipeline = V2beta1Pipeline(
        display_name=name, description=description or None, **_within(connection)
    )
    return PipelineServiceApi(client).pipeline_service_create_pipeline(pipeline)


def _find_version(client: Any, pipeline_id: str, version: str) -> Any | None:
    from kfp_server_api import PipelineServiceApi

    listing = PipelineServiceApi(client).pipeline_service_list_pipeline_versions
    versions = every(listing, "pipeline_versions", pipeline_id=pipeline_id, filter=named(version))
    return next((found for found in versions if found.display_name == version), None)


def _upload_version(client: Any, package: Path, pipeline_id: str, version: str) -> Any:
    from kfp_server_api import PipelineUploadServiceApi

    api = PipelineUploadServiceApi(client)
    return api.upload_pipeline_version(str(package), name=version, pipelineid=pipeline_id)


def _within(connection: Connection) -> dict[str, str]:
    return {"namespace": connection.namespace} if connection.namespace else {}
