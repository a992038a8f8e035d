"""Where a step runs: which image, and what is installed in it when it starts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.functions import Surroundings
from kale_pm.kfp.compiling.imports import Imports
from kale_pm.kfp.compiling.packages import check_indexes, package_warnings, step_packages
from kale_pm.model import Pipeline
from kale_pm.notebook import kubernetes_syntax
from kale_pm.settings import Configuration

# A folder of every image that everybody may write to.
_WRITABLE = "/tmp"


@dataclass(frozen=True)
class Places:
    """The surroundings of the ``steps``, by name, and the ``default`` of all other tasks."""

    default: Surroundings
    steps: Mapping[str, Surroundings]
    warnings: tuple[str, ...]


def places(
    pipeline: Pipeline, needed: Mapping[str, Imports], *, image: str | None, install: bool
) -> Places:
    """Settle the image of every step, and what it installs for the imports that it ``needed``.

    The tag of the step decides on the image, else ``image``, else the setting, else it is the
    stock image of this Python's version.  A step installs its packages unless its tag says no,
    or else the setting; none does without ``install``.  Raises CompileError for an index that
    pip would pass over, and for an ``image`` that is none.
    """
    configuration = pipeline.configuration
    check_indexes(configuration)
    if image:
        _check(image)
    default = _surroundings(
        image or configuration.image or stock_image(),
        (),
        install and configuration.install,
        configuration,
    )
    steps = {}
    packages = {}
    for step in pipeline.steps:
        options = step.options
        wanted = configuration.install if options.install is None else options.install
        if install and wanted:
            packages[step.name] = step_packages(
                needed[step.name].outside,
                configuration,
                options.packages,
                _packages_above(pipeline, step.name),
            )
        steps[step.name] = _surroundings(
            options.image or default.image,
            packages[step.name].requirements if step.name in packages else (),
            install and wanted,
            configuration,
        )
    images = {name: place.image for name, place in steps.items()}
    bare = [name for name in images if name not in packages and images[name] == stock_image()]
    return Places(
        default, steps, (*_bare(bare), *package_warnings(packages, images, stock_image()))
    )


def _packages_above(pipeline: Pipeline, name: str) -> list[str]:
    """What the steps before this one install, the nearest last."""
    above = [each for each in pipeline.order if each in pipeline.ancestors[name]]
    return [text for each in above for text in pipeline.step(each).options.packages]


def _check(image: str) -> None:
    try:
        kubernetes_syntax.image(image)
    except ValueError as error:
        raise CompileError(str(error), hint="correct --image") from None


def stock_image() -> str:
    """The image that Python's makers publish for the version that compiles."""
    return f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def _surroundings(
    image: str, packages: tuple[str, ...], install: bool, configuration: Configuration
) -> Surroundings:
    if not install:
        return Surroundings(image, install=False)
    indexes, hosts = configuration.package_indexes, configuration.trusted_hosts
    # Where a cluster runs it as anybody but root, pip installs below the home folder, and the
    # stock image knows of no other user's.
    needs_home = image == stock_image() or configuration.security_context
    home = _WRITABLE if needs_home else None
    return Surroundings(image, packages, True, indexes, hosts, home)


def _bare(steps: list[str]) -> list[str]:
    if not steps:
        return []
    text = f"nothing is installed at run time, and {stock_image()} lacks papermill and kfp"
    return [f"{text}: name an image for {', '.join(steps)}"]
