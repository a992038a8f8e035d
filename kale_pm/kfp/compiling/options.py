"""What the tags of a step ask of its place, as lines of the DSL."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.python_text import call, literal
from kale_pm.model import Configuration, Step, Volume

# A pod lives longer than its step may run: the image, the packages and the report take their
# time, and a pod that Kubernetes ends takes the executed notebook with it.
TIMEOUT_GRACE = 300  # seconds
INDENT = "    "

_SECURITY = {
    "runAsUser": "run_as_user",
    "runAsGroup": "run_as_group",
    "runAsNonRoot": "run_as_non_root",
}


@dataclass(frozen=True)
class Settings:
    """Lines of the pipeline function that set up one task, and what they leave out."""

    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def task_settings(task: str, step: Step, configuration: Configuration) -> Settings:
    """The settings of ``step``, written for the variable ``task``.

    Raises CompileError, naming the step and the tag, for a quantity that Kubernetes would
    refuse.
    """
    options = step.options
    cache = configuration.cache if options.cache is None else options.cache
    resources = _resources(task, step)
    lines = [
        call(f"{task}.set_display_name", [literal(step.name)]),
        call(f"{task}.set_caching_options", [literal(cache)]),
        *resources.lines,
    ]
    if options.retry:
        backoff = {
            "duration": f"{options.backoff.interval}s",
            "factor": options.backoff.factor,
            "max_duration": f"{options.backoff.longest}s",
        }
        pauses = [f"backoff_{key}={literal(value)}" for key, value in backoff.items()]
        lines.append(call(f"{task}.set_retry", [literal(options.retry), *pauses], INDENT))
    for name, value in options.env.items():
        lines.append(call(f"{task}.set_env_variable", [literal(name), literal(value)], INDENT))

    def on_cluster(function: str, *arguments: str) -> None:
        lines.append(call(f"kubernetes.{function}", [task, *arguments], INDENT))

    if options.timeout:
        on_cluster("set_timeout", f"seconds={options.timeout} + {TIMEOUT_GRACE}")
    for secret in options.secrets:
        variables = f"{{{literal(secret.key)}: {literal(secret.variable)}}}"
        on_cluster(
            "use_secret_as_env",
            f"secret_name={literal(secret.name)}",
            f"secret_key_to_env={variables}",
        )
    for function, pairs in (
        ("add_node_selector", options.nodes),
        ("add_pod_label", options.labels),
        ("add_pod_annotation", options.annotations),
    ):
        for key, value in pairs.items():
            on_cluster(function, literal(key), literal(value))
    for volume in filter(_is_existing, configuration.volumes):
        on_cluster(
            "mount_pvc",
            f"pvc_name={literal(volume.name)}",
            f"mount_path={literal(volume.mount_point)}",
        )
    identity = [
        f"{keyword}={literal(configuration.security_context[key])}"
        for name, keyword in _SECURITY.items()
        for key in (name, keyword)
        if key in configuration.security_context
    ]
    if identity:
        on_cluster("set_security_context", *identity)
    return Settings(tuple(lines), resources.warnings)


def not_carried(configuration: Configuration) -> tuple[str, ...]:
    """A warning for every setting of the notebook that the compiled pipeline leaves out."""
    warnings = []
    for volume in configuration.volumes:
        what = f"volume '{volume.name}' ({volume.type} at {volume.mount_point})"
        if not _is_existing(volume):
            warnings.append(
                f"{what} is left out: only existing claims are mounted. Create the claim, "
                "and give the volume the type pvc and the claim's name"
            )
            continue
        for key, is_set in (
            ("snapshot", volume.snapshot or volume.snapshot_name),
            ("env_variable", volume.env_variable),
        ):
            if is_set:
                warnings.append(f"{what}: its {key} is left out")
    if configuration.snapshot_volumes:
        warnings.append("snapshot_volumes is left out: the pipeline takes no snapshots")
    for key in (
        "marshal_volume",
        "marshal_volume_size",
        "marshal_path",
        "storage_class",
        "access_mode",
    ):
        if getattr(configuration, key):
            warnings.append(
                f"{key} is left out: variables travel through the object store as artifacts"
            )
    known = {*_SECURITY, *_SECURITY.values()}
    warnings += [
        f"security_context: KFP carries no {key}"
        for key in configuration.security_context
        if key not in known
    ]
    return tuple(warnings)


def _is_existing(volume: Volume) -> bool:
    return volume.type in ("pvc", "existing")


def _resources(task: str, step: Step) -> Settings:
    limits, requests = step.options.limits, step.options.requests
    lines, warnings = [], []
    for tag, amounts in (("request", requests), ("limit", limits)):
        for key, text in amounts.items():
            amount = _quantity(step, tag, key, text)
            if key == "cpu":
                lines.append(call(f"{task}.set_cpu_{tag}", [literal(_cpu(text, amount))]))
            elif key == "memory":
                lines.append(call(f"{task}.set_memory_{tag}", [literal(_memory(text, amount))]))
            elif "/" not in key:
                warnings.append(
                    f"step {step.name}: {tag}:{key}:{text} is left out: KFP carries cpu, memory "
                    "and accelerators such as nvidia.com/gpu"
                )
    for key in limits.keys() & requests.keys():
        if _quantity(step, "request", key, requests[key]) > _quantity(
            step, "limit", key, limits[key]
        ):
            raise CompileError(
                f"step {step.name}: request:{key}:{requests[key]} is more than "
                f"limit:{key}:{limits[key]}",
                hint="a limit is the upper end: raise it, or lower the request",
            )
    return Settings((*lines, *_accelerator(task, step, limits, requests)), tuple(warnings))


def _accelerator(
    task: str, step: Step, limits: Mapping[str, str], requests: Mapping[str, str]
) -> list[str]:
    # Kubernetes wants the request of such a resource to equal its limit: one number says both.
    wanted = {key: text for key, text in {**requests, **limits}.items() if "/" in key}
    if not wanted:
        return []
    if len(wanted) > 1:
        raise CompileError(
            f"step {step.name}: KFP gives one kind of accelerator to a step, "
            f"this one asks for {', '.join(sorted(wanted))}",
            hint="keep one of the limit: tags",
        )
    [(key, text)] = wanted.items()
    amount = _quantity(step, "limit", key, text)
    if amount != int(amount):
        raise CompileError(
            f"step {step.name}: limit:{key}:{text}: accelerators are counted",
            hint=f"write a whole number, as in limit:{key}:1",
        )
    return [
        call(f"{task}.set_accelerator_type", [literal(key)]),
        call(f"{task}.set_accelerator_limit", [literal(int(amount))]),
    ]


def _quantity(step: Step, tag: str, key: str, text: str) -> Decimal:
    from kubernetes.utils import parse_quantity

    examples = {"cpu": "500m or 2", "memory": "512Mi or 2Gi"}
    hint = f"write it as Kubernetes does, for example {examples.get(key, '1')}"
    try:
        amount = Decimal(parse_quantity(text))
    except (ValueError, ArithmeticError):
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise CompileError(
            f"step {step.name}: {tag}:{key}:{text}: '{text}' is no quantity", hint=hint
        )
    if key == "memory" and 0 < amount < 1:
        raise CompileError(
            f"step {step.name}: {tag}:{key}:{text}: m is for thousandths, of a byte here",
            hint=hint,
        )
    return amount


def _cpu(text: str, amount: Decimal) -> str:
    """KFP takes fewer spellings than Kubernetes; the others are written out."""
    plain = re.fullmatch(r"([0-9]*\.)?[0-9]+m?", text)
    return text if plain else f"{math.ceil(amount * 1000)}m"


def _memory(text: str, amount: Decimal) -> str:
    plain = re.fullmatch(r"[0-9]+([EPTGM]i?|Ki)?", text)
    return text if plain else str(math.ceil(amount))
