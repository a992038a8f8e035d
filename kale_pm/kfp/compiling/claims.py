"""Claims that a run makes for itself, as lines of the DSL.

What of KFP's backend this rests on was read in its source, not tried on a cluster:

- ``{{$.pipeline_job_uuid}}`` is replaced where it is the whole argument.  So a small task puts
  the names of the claims together, and the exit task, which may depend on no task, does it again.
- A pod's volume is called like its claim.  So the name has at most 63 characters.
- Without a storage class a claim gets "standard", never the cluster's default class.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.python_text import call, literal
from kale_pm.settings import Configuration, Volume

# A snapshot that kale-pm itself has taken for this run; no notebook says so.
OWN_SNAPSHOT = "own_snapshot"
EXISTING = ("pvc", "existing")
LONGEST = 63  # characters of a pod's volume
INDENT = "    "
# The task that puts the names of the claims together, as the generated file calls it.
CLAIMS_TASK = "claims"

RUN_ID = 36  # characters
_SNAPSHOTS = "snapshot.storage.k8s.io"


@dataclass(frozen=True)
class Claim:
    """A claim that the run makes.

    ``variable`` is what the generated file calls the task that creates it, ``suffix`` what
    follows the run's id in its name, ``output`` the output that has this name.
    """

    volume: Volume
    variable: str
    suffix: str

    @property
    def output(self) -> str:
        return self.suffix.replace("-", "_")

    @property
    def name(self) -> str:
        """The expression for the name of the claim that was created."""
        return f'{self.variable}.outputs["name"]'


def new_claims(configuration: Configuration) -> tuple[Claim, ...]:
    """The claims to make, in the order of the volumes; CompileError for one without a size."""
    found: list[Claim] = []
    for volume in configuration.volumes:
        if volume.type in EXISTING:
            continue
        if not volume.size:
            raise CompileError(
                f"volume '{volume.name}': a claim of type {volume.type} needs a size",
                hint='write for example "size": 5, "size_type": "Gi"',
            )
        suffix = _suffix(volume.name, {claim.suffix for claim in found})
        found.append(Claim(volume, f"claim_{suffix.replace('-', '_')}", suffix))
    return tuple(found)


def _suffix(name: str, taken: set[str]) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not _is_python_name(plain.replace("-", "_")):
        plain = f"volume-{plain}"
    # Room for a dash, and for a number.
    plain = plain[: LONGEST - RUN_ID - 4].strip("-")
    number = 1
    while (suffix := plain if number == 1 else f"{plain}-{number}") in taken:
        number += 1
    return suffix


def _is_python_name(text: str) -> bool:
    """Whether it may be a field of the tuple of names in the generated file."""
    return text.isidentifier() and not keyword.iskeyword(text)


def naming(claims: Sequence[Claim]) -> str:
    """The function of the generated file that gives the names of all claims; none without any."""
    if not claims:
        return ""
    fields = ", ".join(f'("{claim.output}", str)' for claim in claims)
    names = "".join(f'f"{{run}}-{claim.suffix}",\n        ' for claim in claims).rstrip()
    return f"""
def claim_names(run: str) -> NamedTuple("Claims", [{fields}]):
    \"\"\"The names of the claims that a run makes for itself.\"\"\"
    return (
        {names}
    )
""".strip()


def creating(claims: Sequence[Claim], configuration: Configuration) -> Iterator[str]:
    """The lines that make the claims."""
    if not claims:
        return
    yield f"{CLAIMS_TASK} = claim_names(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER)"
    yield f'{CLAIMS_TASK}.set_display_name("names of claims")'
    for claim in claims:
        arguments = list(_arguments(claim, configuration))
        yield call(f"{claim.variable} = kubernetes.CreatePVC", arguments, INDENT)
        yield call(f"{claim.variable}.set_display_name", [literal(f"claim {claim.suffix}")])
        # Out of the cache it would be the claim of an earlier run, which is gone.
        yield f"{claim.variable}.set_caching_options(False)"


def _arguments(claim: Claim, configuration: Configuration) -> Iterator[str]:
    volume = claim.volume
    size = quantity(str(volume.size), f"volume '{volume.name}'")
    yield f"pvc_name={CLAIMS_TASK}.outputs[{literal(claim.output)}]"
    yield f"access_modes=[{literal(access_mode(volume, configuration))}]"
    yield f"size={literal(size)}"
    if volume.type == "pv":
        # No class at all is what binds a claim to a volume that is there already.
        yield f"storage_class_name={literal(volume.storage_class or '')}"
        yield f"volume_name={literal(volume.name)}"
    elif wanted := storage_class(volume, configuration):
        yield f"storage_class_name={literal(wanted)}"
    if volume.annotations:
        yield f"annotations={_dictionary(volume.annotations)}"
    if source := _source(volume):
        yield f"data_source={_dictionary(source)}"


def _source(volume: Volume) -> dict[str, str]:
    if volume.type == "clone":
        return {"apiGroup": "", "kind": "PersistentVolumeClaim", "name": volume.name}
    if volume.type in ("snapshot", OWN_SNAPSHOT):
        return {"apiGroup": _SNAPSHOTS, "kind": "VolumeSnapshot", "name": volume.name}
    return {}


def _dictionary(content: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in content.items()) + "}"


def access_mode(volume: Volume | None, configuration: Configuration) -> str:
    """How often a new volume may be mounted; by one node, where nothing is said."""
    own = None if volume is None else volume.access_mode
    return own or configuration.access_mode or "ReadWriteOnce"


def storage_class(volume: Volume, configuration: Configuration) -> str | None:
    """The storage class that is named for a new claim."""
    return volume.storage_class or configuration.storage_class


def quantity(size: str, place: str) -> str:
    """A size as both Kubernetes and KFP spell it; CompileError for none, with its ``place``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(\w*)", size)
    number, unit = found.groups() if found else ("0", "")
    if unit == "m" or not float(number):
        raise CompileError(f"{place}: '{size}' is no size", hint="write for example 5Gi")
    # Kubernetes knows k, KFP's workspace K, and both know bytes.
    return f"{round(float(number) * 1000)}" if unit in ("k", "K") else size
