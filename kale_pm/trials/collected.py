"""The last step of a sweep on KFP: what the trials recorded, and which of them is the best.

Each step of a trial leaves a text of what it recorded.  KFP collects these texts over the trials,
in an order on which nothing rests here: every text says which values had reached its step, and
so belongs to all trials with these values.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kale_pm import strict_json
from kale_pm.errors import UsageError
from kale_pm.trials.goal import Goal, best, read_goal
from kale_pm.trials.page import render_page
from kale_pm.trials.table import TrialRow, as_csv, as_json, metric_names
from kale_pm.trials.values import finite_number, value_text

# What the function of the last step calls the texts of a step, and a parameter of the pipeline.
METRICS = "metrics_"
PARAMETER = "p_"

# The value of a parameter from what KFP delivered and the parameter's type.
Decode = Callable[[Any, str], Any]


class Metrics(Protocol):
    """The part of ``kfp.dsl.Metrics`` that is used here."""

    metadata: dict[str, Any]

    def log_metric(self, metric: str, value: float) -> None: ...


def reaching(texts: Mapping[str, str], names: Sequence[str]) -> str:
    """Which values reach a step: those of the parameters ``names``, as JSON in ``texts``.

    >>> reaching({"lr": "0.1", "depth": "3"}, ["depth", "lr"])
    'depth=3, lr=0.1'
    """
    return ", ".join(f"{name}={texts[name]}" for name in names)


@dataclass(frozen=True)
class Collected:
    """All trials of a sweep: as rows, and by what they are judged.

    ``fixed`` are the values of the parameters that are the same in all of them.
    """

    title: str
    source: str
    goal: Goal
    varied: tuple[str, ...]
    fixed: Mapping[str, Any]
    rows: tuple[TrialRow, ...]

    def as_csv(self) -> str:
        return as_csv(self.rows, self.varied)

    def hand_on(self, given: Mapping[str, Any]) -> None:
        """Write what the last step gives to the places ``given``, by the names of its outputs.

        These are the ``report``, a page, and the ``table``, a folder with CSV and JSON; of the
        best trial the metrics (``best``), the number (``trial``) and all ``parameters``, as JSON.
        Raises UsageError if there is no best one.
        """
        self._write_report(Path(given["report"].path))
        self._write_table(Path(given["table"].path))
        chosen = best(self.rows, self.goal)
        if chosen is None:
            names = ", ".join(metric_names(self.rows)) or "none at all"
            raise UsageError(
                f"no trial has a finite number as the metric '{self.goal.metric}'; "
                f"the metrics that there are: {names}"
            )
        _record(chosen.metrics, given["best"])
        values = strict_json.dumps({**self.fixed, **chosen.parameters}, default=str)
        # KFP would put something of its own where a value has double braces.
        _write(Path(given["parameters"]), values.replace("{{", r"{\u007b"))
        _write(Path(given["trial"]), str(chosen.number))

    def _write_report(self, path: Path) -> None:
        page = render_page(
            self.rows,
            title=self.title,
            goal=self.goal,
            varied=self.varied,
            facts=[self.source],
            fixed=self.fixed,
        )
        _write(path, page)

    def _write_table(self, folder: Path) -> None:
        facts = {"pipeline": self.title, "notebook": self.source, "fixed": dict(self.fixed)}
        content = as_json(self.rows, self.varied, goal=self.goal, facts=facts)
        _write(folder / "trials.csv", self.as_csv())
        _write(folder / "trials.json", content)


def collected(bundle: str, given: Mapping[str, Any], decode: Decode) -> Collected:
    """The trials of a sweep from what its steps recorded.

    ``bundle`` is what ``kale_pm.kfp.compiling.loop`` made.  ``given`` are the arguments of the
    last step's function: parameters, and for each step its text, or a list of texts if it ran
    for every trial.
    """
    facts = json.loads(zlib.decompress(base64.b64decode(bundle)))
    by_step = {step: dict(_recorded(given[METRICS + step])) for step in facts["reach"]}
    return Collected(
        title=facts["title"],
        source=facts["notebook"],
        goal=read_goal(facts["goal"]),
        varied=tuple(facts["varied"]),
        fixed={
            parameter["name"]: decode(given[argument], parameter["type"])
            for argument, parameter in facts["fixed"].items()
        },
        rows=tuple(
            TrialRow(number, _values(texts), _metrics(by_step, facts["reach"], texts))
            for number, texts in enumerate(facts["trials"], start=1)
        ),
    )


def _recorded(texts: str | list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a step recorded, by the values that had reached it."""
    for text in [texts] if isinstance(texts, str) else texts:
        content = json.loads(text)
        yield content["trial"], content["metrics"]


def _values(texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in texts.items()}


def _metrics(
    by_step: Mapping[str, Mapping[str, dict[str, Any]]],
    reach: Mapping[str, Sequence[str]],
    texts: Mapping[str, str],
) -> dict[str, Any]:
    """The metrics of one trial; of two steps that record the same name the later one counts."""
    return {
        name: strict_json.number(value)
        for step, records in by_step.items()
        for name, value in records.get(reaching(texts, reach[step]), {}).items()
    }


def _record(values: Mapping[str, Any], metrics: Metrics) -> None:
    """KFP draws finite numbers; the rest is kept as text beside them."""
    for name, value in values.items():
        number = finite_number(value)
        if number is None:
            metrics.metadata[name] = value_text(value)
        else:
            metrics.log_metric(name, number)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
