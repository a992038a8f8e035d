"""The language of cell tags: one table of words, and how a cell's tags read by it.

Both generations of Kale's words are understood, and papermill's ``parameters``.  Tags of other
tools are left alone; a misspelt word of ours is an error that names the right one, and is then
read as what it was meant to be, so that one slip gives one problem.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from kale_pm.model import (
    Artifact,
    Problem,
    PullPolicy,
    Secret,
    SecretFiles,
    StepOptions,
    TaintEffect,
    Toleration,
)
from kale_pm.notebook import kubernetes_syntax
from kale_pm.notebook.requirements import canonical_name, requirement

Role = Literal["imports", "functions", "parameters", "metrics", "skip"]
PRELUDE_ROLES: frozenset[str | None] = frozenset({"imports", "functions", "parameters"})

_STEP_NAME = re.compile(r"[_a-z][_a-z0-9]*")
_ARTIFACT_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
# What the functions of a compiled pipeline call other things by, and how these names begin.
_NO_ARTIFACTS = frozenset(
    {
        *("notebook", "html", "metrics", "state", "context", "summary", "runtime", "volume"),
        *("trial", "step", "bundle", "dsl", "open", "locals", "run_step", "use_kale_pm"),
        "runtime_archive",
    }
)
_NO_ARTIFACTS_BEGIN = ("p_", "state_", "context_", "input_", "bundle_")
_SIZE = re.compile(r"[1-9]\d{0,11}([kMGTPE]|[KMGTPE]i)?", re.ASCII)
# Kubernetes counts to 2**63; the digits of a larger exponent would keep us busy for hours.
_QUANTITY = re.compile(
    r"\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,2}|m|k|[KMGTPE]i?)?|\.\d{1,30}", re.ASCII
)
# What the names of variables with secrets end with, and values that are none.
_SECRET_NAME = re.compile(
    r"(^|.*_)(PASSWORD|PASSWD|PASSPHRASE|PWD|SECRET|TOKEN|CREDENTIALS?|(API|ACCESS)?KEY)",
    re.IGNORECASE,
)
_OPEN_VALUE = re.compile(r".{0,5}|[\d.]+|[/.~$].*|disabled|enabled")


@dataclass(frozen=True)
class Setting:
    """One thing that a tag asks of a step: ``field`` of StepOptions, ``key`` in its mapping."""

    field: str
    key: str | None
    value: Any


@dataclass(frozen=True)
class CellTags:
    """What the tags of one cell say.  ``role`` is None on a step's cell and on an untagged one."""

    step: str | None = None
    prev: tuple[str, ...] = ()
    role: Role | None = None
    settings: tuple[Setting, ...] = ()

    @property
    def options(self) -> StepOptions:
        return options_from(self.settings)

    @property
    def is_prelude(self) -> bool:
        return self.role in PRELUDE_ROLES


class _BadValueError(ValueError):
    """Why a tag's value does not read; ``meant`` is what it is taken for all the same."""

    def __init__(self, reason: str, hint: str = "", meant: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.hint, self.meant = reason, hint, meant


@dataclass(frozen=True)
class Word:
    """One word of the language: its usage, the kind of thing it says, how its value reads.

    An ``option`` may also stand in ``steps_defaults``; ``reserved`` words are refused so far.
    """

    usage: str
    kind: Literal["step", "prev", "role", "option", "reserved"]
    says: str = ""
    read: Callable[[str], tuple[str | None, Any]] = lambda value: (None, value)


def _step_name(value: str) -> tuple[None, str]:
    if not value:
        raise _BadValueError("the name is missing")
    if not _STEP_NAME.fullmatch(value):
        legal = legal_step_name(value)
        hint = f"names are lower-case letters, digits and _, such as {legal}"
        raise _BadValueError(f"'{value}' is no legal name", hint, meant=legal)
    return None, value


def _as_kubernetes(check: Callable[[str], str], value: str) -> str:
    try:
        return check(value)
    except ValueError as error:
        raise _BadValueError(str(error)) from None


def _image(value: str) -> tuple[None, str]:
    return None, _as_kubernetes(kubernetes_syntax.image, value)


def _package(text: str) -> tuple[str, str]:
    try:
        spelt = requirement(text)
    except ValueError as error:
        raise _BadValueError(str(error)) from None
    return canonical_name(spelt), spelt


def _artifact(text: str) -> tuple[str, Artifact]:
    name, _, path = text.partition(":")
    if not _ARTIFACT_NAME.fullmatch(name):
        raise _BadValueError(
            f"'{name}' is no name of an artifact: these are lower-case letters, digits and _, and "
            "begin with a letter"
        )
    if name in _NO_ARTIFACTS or name.startswith(_NO_ARTIFACTS_BEGIN) or iskeyword(name):
        raise _BadValueError(f"'{name}' has a meaning of its own: choose another name")
    parts = PurePosixPath(path).parts
    if not parts or path.endswith("/") or not path.isprintable():
        raise _BadValueError("the path of a file is needed")
    if ".." in parts or parts[0] in ("/", "//", "~"):
        raise _BadValueError(
            f"{path} leaves the notebook's folder: write the file there, and name it relative to it"
        )
    return name, Artifact(name, "/".join(parts))


def _switch(value: str) -> tuple[None, bool]:
    if value not in ("enabled", "disabled"):
        raise _BadValueError(f"'{value}' is neither enabled nor disabled")
    return None, value == "enabled"


def _number(smallest: int) -> Callable[[str], tuple[None, int]]:
    def read(value: str) -> tuple[None, int]:
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < smallest:
            raise _BadValueError(f"'{value}' is not a whole number from {smallest} to 999999999")
        return None, int(value)

    return read


def _factor(value: str) -> tuple[None, float]:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4})?", value) or float(value) < 1:
        raise _BadValueError(f"'{value}' is not a number of at least 1")
    return None, float(value)


def _pair(
    key: Callable[[str], str], value: Callable[[str], str] = str
) -> Callable[[str], tuple[str, str]]:
    def read(text: str) -> tuple[str, str]:
        name, colon, rest = text.partition(":")
        if not colon:
            raise _BadValueError("two parts are needed, with a colon between them")
        return _as_kubernetes(key, name), _as_kubernetes(value, rest)

    return read


def _quantity(text: str) -> str:
    if not _QUANTITY.fullmatch(text):
        raise ValueError(f"'{text}' is not a Kubernetes quantity such as 2, 500m, 1.5 or 4Gi")
    return text


def _secret(text: str) -> tuple[str, Secret]:
    parts = text.split(":")
    if len(parts) != 3:
        raise _BadValueError("a secret has three parts: its name, its key, the variable")
    name = _as_kubernetes(kubernetes_syntax.object_name, parts[0])
    key = _as_kubernetes(kubernetes_syntax.secret_key, parts[1])
    variable = _as_kubernetes(kubernetes_syntax.variable_name, parts[2])
    return variable, Secret(name, key, variable)


def _secret_files(text: str) -> tuple[str, SecretFiles]:
    name, _, path = text.partition(":")
    if not path or path.endswith("/"):
        raise _BadValueError("the name of a secret and the absolute path of a folder are needed")
    name = _as_kubernetes(kubernetes_syntax.object_name, name)
    path = _as_kubernetes(kubernetes_syntax.mount_path, path)
    return path, SecretFiles(name, path)


def _pull_policy(value: str) -> tuple[None, PullPolicy]:
    return None, pull_policy(value)


def pull_policy(value: str) -> PullPolicy:
    """Kubernetes' word for when to fetch an image, in any case of letters; else ValueError."""
    for policy in get_args(PullPolicy):
        if value.lower() == policy.lower():
            return policy  # type: ignore[no-any-return]
    raise _BadValueError(f"'{value}' is none of {', '.join(get_args(PullPolicy))}")


def _toleration(text: str) -> tuple[str, Toleration]:
    key, *rest = text.split(":")
    effects: tuple[TaintEffect, ...] = get_args(TaintEffect)
    effect = next((effect for effect in effects if rest and effect == rest[-1]), None)
    values = rest[:-1] if effect else rest
    if len(values) > 1:
        raise _BadValueError(f"the parts are a key, a value and one of {', '.join(effects)}")
    _as_kubernetes(kubernetes_syntax.key, key)
    if values and not _as_kubernetes(kubernetes_syntax.label_value, values[0]):
        raise _BadValueError("the value of the taint is missing")
    if values and effect is None and nearest(values[0], [e.lower() for e in effects]):
        raise _BadValueError(f"'{values[0]}' is none of {', '.join(effects)}")
    return text, Toleration(key, values[0] if values else None, effect)


def _size(value: str) -> tuple[None, str]:
    if not _SIZE.fullmatch(value):
        raise _BadValueError(f"'{value}' is no size such as 512Mi or 2Gi")
    return None, value


_resource = _pair(kubernetes_syntax.key, _quantity)
_label = _pair(kubernetes_syntax.key, kubernetes_syntax.label_value)
_variable = _pair(kubernetes_syntax.variable_name, kubernetes_syntax.variable_value)
_annotation = _pair(kubernetes_syntax.key)

WORDS: dict[str, Word] = {
    "block": Word("block:NAME", "step", read=_step_name),
    "step": Word("step:NAME", "step", read=_step_name),
    "prev": Word("prev:NAME", "prev", read=_step_name),
    "imports": Word("imports", "role", "imports"),
    "functions": Word("functions", "role", "functions"),
    "parameters": Word("parameters", "role", "parameters"),
    "pipeline-parameters": Word("pipeline-parameters", "role", "parameters"),
    "metrics": Word("metrics", "role", "metrics"),
    "pipeline-metrics": Word("pipeline-metrics", "role", "metrics"),
    "skip": Word("skip", "role", "skip"),
    "image": Word("image:REF", "option", "image", _image),
    "pull": Word(
        "pull:Always, pull:IfNotPresent or pull:Never", "option", "pull_policy", _pull_policy
    ),
    "install": Word("install:enabled or install:disabled", "option", "install", _switch),
    "package": Word("package:REQUIREMENT", "option", "packages", _package),
    "cache": Word("cache:enabled or cache:disabled", "option", "cache", _switch),
    "report": Word("report:enabled or report:disabled", "option", "report", _switch),
    "limit": Word("limit:KEY:VALUE", "option", "limits", _resource),
    "request": Word("request:KEY:VALUE", "option", "requests", _resource),
    "retry": Word("retry:N", "option", "retry", _number(0)),
    "retry_interval": Word("retry_interval:SECONDS", "option", "retry_interval", _number(0)),
    "retry_factor": Word("retry_factor:NUMBER", "option", "retry_factor", _factor),
    "retry_max_interval": Word(
        "retry_max_interval:SECONDS", "option", "retry_max_interval", _number(0)
    ),
    "timeout": Word("timeout:SECONDS", "option", "timeout", _number(1)),
    "artifact": Word("artifact:NAME:PATH", "option", "artifacts", _artifact),
    "env": Word("env:NAME:VALUE", "option", "env", _variable),
    "node": Word("node:KEY:VALUE", "option", "nodes", _label),
    "toleration": Word("toleration:KEY:VALUE:EFFECT", "option", "tolerations", _toleration),
    "shm": Word("shm:SIZE", "option", "shared_memory", _size),
    "secret": Word("secret:NAME:KEY:ENVVAR", "option", "secrets", _secret),
    "secret_files": Word("secret_files:NAME:/PATH", "option", "secret_files", _secret_files),
    "label": Word("label:KEY:VALUE", "option", "labels", _label),
    "annotation": Word("annotation:KEY:VALUE", "option", "annotations", _annotation),
    "notebook": Word("notebook:NAME", "reserved"),
    "for": Word("for:VAR:in:NAME", "reserved"),
    "if": Word("if:EXPR", "reserved"),
}


# Options that are lists, and what tells two entries apart: of two that are alike the later holds.
_LISTS: dict[str, Callable[[Any], str]] = {
    "packages": canonical_name,
    "artifacts": lambda artifact: artifact.name,
    "secrets": lambda secret: secret.variable,
    "secret_files": lambda secret: secret.path,
    "tolerations": lambda taint: ":".join(filter(None, (taint.key, taint.value, taint.effect))),
}


def parse_tags(tags: Sequence[str], cell: int) -> tuple[CellTags, list[Problem]]:
    """Read the tags of cell number ``cell``, in any order.

    What cannot be read is a problem ``bad-tags``; the tags that remain count.
    """
    if "skip" in tags:
        return CellTags(role="skip"), []
    problems: list[Problem] = []
    steps: dict[str, None] = {}
    prev: dict[str, None] = {}
    roles: dict[str, None] = {}
    settings: dict[Setting, str] = {}

    def bad(message: str, hint: str = "") -> None:
        problems.append(bad_tags(message, hint, cell))

    for tag in dict.fromkeys(tags):
        name, colon, value = _meant(tag)
        word = WORDS.get(name)
        if word is None:
            continue
        right = f"{name}{colon}{value}"
        if right != tag:
            bad(f"the tag '{tag}' is misspelt", f"did you mean {right}?")
        if word.kind == "role":
            if colon:
                bad(f"the tag '{tag}' takes no value", f"write {name}")
            roles[word.says] = None
            continue
        if word.kind == "reserved":
            bad(f"the tag '{tag}' is reserved: {word.usage} is not built yet", "remove the tag")
            continue
        try:
            key, result = word.read(value)
        except _BadValueError as error:
            hint = f"{error.hint} ({word.usage})" if error.hint else f"write {word.usage}"
            bad(f"the tag '{tag}' does not read: {error.reason}", hint)
            if error.meant is None:
                continue
            key, result = None, error.meant
        if word.kind == "step":
            steps[result] = None
        elif word.kind == "prev":
            prev[result] = None
        else:
            setting = Setting(word.says, key, result)
            settings[setting] = tag
            if said := open_secret(setting):
                problems.append(Problem("bad-tags", "warning", *said, cell=cell))

    step = next(iter(steps), None)
    role = _role(roles)
    if len(steps) > 1:
        names = " and ".join(steps)
        bad(f"two step names on one cell: {names}", "split the cell, or keep one of them")
    if step and role:
        bad(f"'{role}' and the step {step} on one cell", "a cell is one or the other: split it")
    elif "metrics" in roles and len(roles) > 1:
        bad(f"{' and '.join(roles)} on one cell", "metrics stand in a cell of their own")
    if step is None:
        if prev:
            tag = f"prev:{next(iter(prev))}"
            bad(f"'{tag}' on a cell without a step", f"add block:NAME beside {tag}")
        if settings:
            tag = next(iter(settings.values()))
            hint = f"add block:NAME beside {tag}, or use steps_defaults for all steps"
            bad(f"'{tag}' on a cell without a step", hint)
        return CellTags(role=role), problems
    return CellTags(step, tuple(prev), None, tuple(settings)), problems


def parse_default(tag: str) -> Setting:
    """Read one tag of ``steps_defaults``.  Raises ValueError with the reason and what to write."""
    name, colon, value = tag.partition(":")
    word = WORDS.get(name)
    if word is None or word.kind != "option" or not colon:
        near = nearest(name, [word for word in WORDS if WORDS[word].kind == "option"])
        allowed = ", ".join(word for word in WORDS if WORDS[word].kind == "option")
        raise ValueError(f"did you mean {near}:{value}?" if near else f"what may stand: {allowed}")
    try:
        key, result = word.read(value)
    except _BadValueError as error:
        raise ValueError(f"{error.reason}; write {word.usage}") from None
    return Setting(word.says, key, result)


def open_secret(setting: Setting) -> tuple[str, str] | None:
    """What to say, and what to do, of a variable whose value everybody may read.

    None where its name is not that of a secret, or its value is none: short, a number, a path.
    """
    if setting.field != "env" or not _SECRET_NAME.fullmatch(setting.key or ""):
        return None
    if _OPEN_VALUE.fullmatch(setting.value):
        return None
    message = (
        f"'env:{setting.key}:...' looks like a secret, and whoever sees the notebook or the "
        "pipeline can read it"
    )
    return message, f"write secret:NAME:KEY:{setting.key}, for a key of a Kubernetes secret"


def options_from(settings: Iterable[Setting]) -> StepOptions:
    """The options that the settings add up to; of two for the same thing the later one holds."""
    fields: dict[str, Any] = {}
    for setting in settings:
        if setting.key is None:
            fields[setting.field] = setting.value
        else:
            fields.setdefault(setting.field, {})[setting.key] = setting.value
    for field in _LISTS.keys() & fields.keys():
        fields[field] = tuple(fields[field].values())
    return StepOptions(**fields)


def settings_of(options: StepOptions) -> tuple[Setting, ...]:
    """The settings that make these options; fields that say nothing give none."""
    found: list[Setting] = []
    for field, value in vars(options).items():
        if field in _LISTS:
            found += [Setting(field, _LISTS[field](entry), entry) for entry in value]
        elif isinstance(value, dict):
            found += [Setting(field, key, entry) for key, entry in value.items()]
        elif value is not None and (field != "retry" or value):
            found.append(Setting(field, None, value))
    return tuple(found)


def inherited(defaults: StepOptions, own: Sequence[Setting]) -> tuple[Setting, ...]:
    """The settings of ``steps_defaults`` that stand beside a step's ``own``.

    A step has one kind of accelerator: its own takes the place of the default one.
    """
    settings = settings_of(defaults)
    if any(map(_is_accelerator, own)):
        return tuple(setting for setting in settings if not _is_accelerator(setting))
    return settings


def _is_accelerator(setting: Setting) -> bool:
    return setting.field in ("limits", "requests") and "/" in (setting.key or "")


def legal_step_name(text: str) -> str:
    """The nearest legal step name: ``Train-Model`` gives ``train_model``."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain)
    name = name.strip("_") if name.strip("_") else "step"
    return f"_{name}" if name[0].isdigit() else name


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that ``word`` is most likely a slip of; None if it is near to none.

    One letter may be wrong, missing, doubled or swapped with its neighbour; from eight letters
    on two.
    """
    lowered = word.lower()
    distances = [(_distance(lowered, other), other) for other in words]
    near = [pair for pair in distances if pair[0] <= (2 if len(pair[1]) >= 8 else 1)]
    return min(near)[1] if near else None


def bad_tags(message: str, hint: str, cell: int | None, step: str | None = None) -> Problem:
    return Problem("bad-tags", "error", message, hint, step, cell)


def _role(roles: Iterable[str]) -> Role | None:
    # Every role of the prelude runs alike; parameters alone mean something more.
    order: tuple[Role, ...] = ("skip", "parameters", "imports", "functions", "metrics")
    return next((role for role in order if role in roles), None)


def _meant(tag: str) -> tuple[str, str, str]:
    """Word, colon and value of a tag as they were meant; the word is left where not ours."""
    name, colon, value = tag.partition(":")
    if name in WORDS:
        # A bare 'image' or 'report' may well belong to another tool, a bare 'block' hardly.
        ours = colon or WORDS[name].kind in ("role", "step", "prev")
        return (name if ours else "", colon, value)
    kinds = ("step", "prev", "option") if colon else ("role",)
    near = nearest(name, [word for word, entry in WORDS.items() if entry.kind in kinds])
    if near is None or (colon and not _reads(WORDS[near], value)):
        return "", colon, value
    return near, colon, value


def _reads(word: Word, value: str) -> bool:
    try:
        word.read(value)
    except _BadValueError as error:
        return error.meant is not None
    return True


def _distance(one: str, other: str) -> int:
    """How many letters differ, counting swapped neighbours as one."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]
