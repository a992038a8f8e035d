"""What the tags of a step ask of its place, as lines of the DSL."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.mounts import refuse_clashes
from kale_pm.kfp.compiling.python_text import call, literal
from kale_pm.model import Step
from kale_pm.settings import Configuration, StepOptions

# A step ends itself when its time is over.  Kubernetes counts from the moment a node has taken
# the pod: fetching the image, the packages, the variables and the report take their time, too,
# and a pod that Kubernetes ends takes the executed notebook with it.  So it steps in only when
# something hangs.
TIMEOUT_GRACE = 1800  # seconds
INDENT = "    "

_LARGEST_AMOUNT = 2**63 - 1  # of cpus, bytes or accelerators, to Kubernetes
_SECURITY = ("run_as_user", "run_as_group", "run_as_non_root")


@dataclass(frozen=True)
class Settings:
    """Lines of the pipeline function that set up one task, and what they leave out."""

    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def task_settings(task: str, step: Step, configuration: Configuration) -> Settings:
    """The settings of ``step``, written for the variable ``task``.

    Raises CompileError, naming the step and the tag, for what Kubernetes would refuse and KFP
    would change on its way there.
    """
    options = step.options
    _refuse_placeholders(step)
    refuse_clashes(step, configuration.volumes)
    cache = configuration.cache if options.cache is None else options.cache
    resources = _resources(task, step)
    lines = [
        call(f"{task}.set_display_name", [literal(step.name)]),
        call(f"{task}.set_caching_options", [literal(cache)]),
        *resources.lines,
        *_environment(task, options),
    ]
    if options.retry:
        backoff = {
            "duration": f"{options.backoff.interval}s",
            "factor": options.backoff.factor,
            "max_duration": f"{options.backoff.longest}s",
        }
        pauses = [f"backoff_{key}={literal(value)}" for key, value in backoff.items()]
        lines.append(call(f"{task}.set_retry", [literal(options.retry), *pauses], INDENT))
    if options.timeout:
        lines.append(
            _on_cluster("set_timeout", task, f"seconds={options.timeout} + {TIMEOUT_GRACE}")
        )
    for secret in options.secret_files:
        arguments = {"secret_name": secret.name, "mount_path": secret.path}
        lines.append(_on_cluster("use_secret_as_volume", task, **arguments))
    if options.shared_memory:
        memory = {
            "volume_name": "shared-memory",
            "mount_path": "/dev/shm",
            "medium": "Memory",
            "size_limit": options.shared_memory,
        }
        lines.append(_on_cluster("empty_dir_mount", task, **memory))
    return Settings((*lines, *_pod(task, options, configuration)), resources.warnings)


def service_task_settings(task: str, configuration: Configuration) -> tuple[str, ...]:
    """The settings of a task of our own, written for the variable ``task``.

    Its pod is one of the pipeline's: who demands something of all pods demands it of this one,
    too.  So ``steps_defaults`` hold for it, but for what only the work of a step asks for:
    image, accelerators, timeout, retries, files of secrets and shared memory.
    """
    options = configuration.steps_defaults
    plain = replace(
        options,
        limits={key: text for key, text in options.limits.items() if "/" not in key},
        requests={key: text for key, text in options.requests.items() if "/" not in key},
    )
    step = Step("of steps_defaults", (), options=plain)
    _refuse_placeholders(step)
    resources = _resources(task, step)
    environment = _environment(task, options)
    return (*resources.lines, *environment, *_pod(task, options, configuration))


def _refuse_placeholders(step: Step) -> None:
    """KFP and Argo put something of their own in the place of what stands in double braces."""
    for tag, pairs in (("env", step.options.env), ("annotation", step.options.annotations)):
        for key, value in pairs.items():
            if "{{" in value:
                raise CompileError(
                    f"step {step.name}: {tag}:{key}: KFP would replace what stands in {{{{ }}}}",
                    hint="set it in a cell, with os.environ"
                    if tag == "env"
                    else "write it without double braces",
                )


def _environment(task: str, options: StepOptions) -> list[str]:
    lines = [
        call(f"{task}.set_env_variable", [literal(name), literal(value)], INDENT)
        for name, value in options.env.items()
    ]
    for secret in options.secrets:
        argument = f"secret_key_to_env={{{literal(secret.key)}: {literal(secret.variable)}}}"
        lines.append(_on_cluster("use_secret_as_env", task, argument, secret_name=secret.name))
    return lines


def _pod(task: str, options: StepOptions, configuration: Configuration) -> list[str]:
    """What a cluster may demand of any pod: where it runs, as whom, and what it is called."""
    lines = [
        _on_cluster(function, task, literal(key), literal(value))
        for function, pairs in (
            ("add_node_selector", options.nodes),
            ("add_pod_label", options.labels),
            ("add_pod_annotation", options.annotations),
        )
        for key, value in pairs.items()
    ]
    for taint in options.tolerations:
        wanted = {
            "key": taint.key,
            "operator": "Exists" if taint.value is None else "Equal",
            "value": taint.value,
            "effect": taint.effect,
        }
        given = {name: text for name, text in wanted.items() if text is not None}
        lines.append(_on_cluster("add_toleration", task, **given))
    policy = options.pull_policy or configuration.image_pull_policy
    if policy:
        lines.append(_on_cluster("set_image_pull_policy", task, literal(policy)))
    secrets = list(configuration.image_pull_secrets)
    if secrets:
        lines.append(_on_cluster("set_image_pull_secrets", task, secret_names=secrets))
    identity = {
        keyword: configuration.security_context[keyword]
        for keyword in _SECURITY
        if keyword in configuration.security_context
    }
    if identity:
        lines.append(_on_cluster("set_security_context", task, **identity))
    return lines


def _on_cluster(function: str, task: str, *arguments: str, **values: object) -> str:
    keywords = [f"{name}={literal(value)}" for name, value in values.items()]
    return call(f"kubernetes.{function}", [task, *keywords, *arguments], INDENT)


def not_carried(configuration: Configuration) -> tuple[str, ...]:
    """A warning for every setting of the notebook that the compiled pipeline leaves out."""
    if configuration.snapshot_volumes:
        return (
            "snapshot_volumes is left out: kale-pm submit takes snapshots, in a notebook server",
        )
    return ()


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
    wanted = {
        key: amount
        for key, text in {**requests, **limits}.items()
        if "/" in key and (amount := _count(step, key, text))
    }
    if not wanted:
        return []
    if len(wanted) > 1:
        raise CompileError(
            f"step {step.name}: KFP gives one kind of accelerator to a step, "
            f"this one asks for {', '.join(sorted(wanted))}",
            hint="keep one of the limit: tags",
        )
    [(key, amount)] = wanted.items()
    return [
        call(f"{task}.set_accelerator_type", [literal(key)]),
        call(f"{task}.set_accelerator_limit", [literal(amount)]),
    ]


def _count(step: Step, key: str, text: str) -> int:
    """How many accelerators; none is what a step says that wants nothing of steps_defaults."""
    amount = _quantity(step, "limit", key, text)
    if amount != int(amount):
        raise CompileError(
            f"step {step.name}: limit:{key}:{text}: accelerators are counted",
            hint=f"write a whole number, as in limit:{key}:1",
        )
    return int(amount)


def _quantity(step: Step, tag: str, key: str, text: str) -> Decimal:
    from kubernetes.utils import parse_quantity

    examples = {"cpu": "500m or 2", "memory": "512Mi or 2Gi"}
    hint = f"write it as Kubernetes does, for example {examples.get(key, '1')}"
    try:
        amount = Decimal(parse_quantity(text))
    except (ValueError, ArithmeticError):
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _LARGEST_AMOUNT:
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
