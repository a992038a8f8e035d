"""The pictures of a page: which there are, with which axes, and what they leave out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from kale_pm.trials.drawing import Axis, style
from kale_pm.trials.goal import Goal, best
from kale_pm.trials.parallel import parallel_coordinates
from kale_pm.trials.scales import choice_scale, measure_scale
from kale_pm.trials.scatter import scatter
from kale_pm.trials.selection import Selection, select
from kale_pm.trials.table import Columns, TrialRow, columns
from kale_pm.trials.values import finite_number, html_text

_MOST_DRAWN = 6  # metrics that have pictures
_MOST_BESIDE = 3  # metrics beside the goal's that are axes of the lines
_DOTS = 6000  # in all pictures together


def lines(
    rows: Sequence[TrialRow],
    *,
    goal: Goal | None,
    varied: Sequence[str],
    logarithmic: Collection[str] = (),
) -> str:
    """Parallel coordinates of the trials as an SVG that stands alone, as a file or in a notebook.

    Empty where no parameter is varied or no metric is a number.  The ``logarithmic`` parameters
    were spread by magnitude.
    """
    drawing = _drawing(rows, goal, varied, logarithmic)
    if drawing is None:
        return ""
    opening, _, content = _lines(drawing).partition(">")
    return f"{opening}><style>{style()}</style>{content}"


def gallery(
    rows: Sequence[TrialRow],
    goal: Goal | None,
    varied: Sequence[str],
    logarithmic: Collection[str],
) -> Iterator[str]:
    """The sections of a page with pictures: all trials as lines, then dots for each metric.

    There are none where :func:`lines` is empty.  The page needs ``drawing.style()``.
    """
    drawing = _drawing(rows, goal, varied, logarithmic)
    if drawing is None:
        return
    parameters, metrics, selection = drawing.parameters, drawing.metrics, drawing.selection
    yield (
        '<section aria-labelledby="lines"><h2 id="lines">Every trial as a line</h2>\n'
        f'<div class="picture" tabindex="0" role="region" aria-label="Parallel coordinates">'
        f"{_lines(drawing)}</div>\n{_legend(drawing)}</section>\n"
    )
    drawn = metrics[:_MOST_DRAWN]
    few = selection.fewer(max(100, _DOTS // (len(drawn) * len(parameters))))
    fewer = f"{len(few):,} trials drawn" if len(few) < len(selection.rows) else ""
    for index, metric in enumerate(drawn):
        dots = [scatter(axis, metric, selection, few) for axis in parameters]
        remark = ", ".join(filter(None, [metric.note, fewer]))
        note = f' <span class="quiet">{remark}</span>' if remark else ""
        yield (
            f'<details class="panels"{"" if index else " open"}>'
            f"<summary><h2><code>{html_text(metric.label)}</code> against each parameter</h2>{note}"
            f'</summary><div class="scatters">{"".join(dots)}</div></details>\n'
        )
    if len(metrics) > len(drawn):
        left_out = metrics[len(drawn) :]
        yield f'<p class="quiet">Without a picture: {_names(left_out)}.</p>\n'


@dataclass(frozen=True)
class _Drawing:
    """What there is to draw; the first of the ``metrics`` is that of the goal."""

    goal: Goal | None
    parameters: Sequence[Axis]
    metrics: Sequence[Axis]
    selection: Selection


def _drawing(
    rows: Sequence[TrialRow],
    goal: Goal | None,
    varied: Sequence[str],
    logarithmic: Collection[str],
) -> _Drawing | None:
    if goal and best(rows, goal) is None:
        goal = None
    names = columns(rows, varied)
    parameters = _parameter_axes(rows, names, logarithmic)
    metrics = _metric_axes(rows, goal, names)
    if not parameters or not metrics:
        return None
    selection = select(rows, goal, [axis.name for axis in metrics])
    return _Drawing(goal, parameters, metrics, selection)


def _lines(drawing: _Drawing) -> str:
    return parallel_coordinates([*drawing.parameters, *_measures(drawing)], drawing.selection)


def _measures(drawing: _Drawing) -> list[Axis]:
    """The metrics that are axes of the lines."""
    metrics = drawing.metrics
    if drawing.goal is None:
        return [*metrics[: _MOST_BESIDE + 1]]
    # The lines end at the goal, and have no gap before.
    ranked = [row for row in drawing.selection.rows if row.is_success]
    others = [axis for axis in metrics[1:] if _varies(axis) and None not in map(axis.place, ranked)]
    return [*others[:_MOST_BESIDE], metrics[0]]


def _varies(axis: Axis) -> bool:
    return len(axis.scale.ticks) > 1


def _metric_axes(rows: Sequence[TrialRow], goal: Goal | None, names: Columns) -> list[Axis]:
    """The metrics that are numbers: the goal's first, then those that vary, then the others."""
    axes = []
    ended = [row for row in rows if row.is_success or row.is_failure]
    for name, label in names.metrics.items():
        values = (finite_number(row.metrics.get(name)) for row in ended)
        numbers = [number for number in values if number is not None]
        if numbers:
            is_goal = goal is not None and goal.metric == name
            better = "higher" if goal and goal.direction == "max" else "lower"
            note = f"{better} is better" if is_goal else ""
            axes.append(Axis(name, label, measure_scale(numbers), is_metric=True, note=note))
    return sorted(axes, key=lambda axis: (not axis.note, not _varies(axis)))


def _parameter_axes(
    rows: Sequence[TrialRow], names: Columns, logarithmic: Collection[str]
) -> list[Axis]:
    axes = []
    for name, label in names.parameters.items():
        values = [row.parameters[name] for row in rows if name in row.parameters]
        if values:
            scale = choice_scale(values, logarithmic=name in logarithmic)
            axes.append(Axis(name, label, scale))
    return axes


def _names(axes: Sequence[Axis]) -> str:
    return ", ".join(f"<code>{html_text(axis.label)}</code>" for axis in axes)


def _legend(drawing: _Drawing) -> str:
    parts = []
    if drawing.goal:
        parts.append('<span><i class="swatch best"></i>the best</span>')
    if drawing.goal and len(drawing.selection.rows) > 1:
        parts.append('<span><i class="swatch ramp"></i>from the worst rank to the best</span>')
    if any(row.is_failure for row in drawing.selection.rows):
        parts.append('<span><i class="swatch failed"></i>failed</span>')
    parts += [f"<span>{html_text(note)}</span>" for note in drawing.selection.notes]
    shown = _measures(drawing)
    missing = [axis for axis in drawing.metrics if _varies(axis) and axis not in shown]
    if missing:
        parts.append(f"<span>without {_names(missing)}</span>")
    return f'<p class="legend">{" ".join(parts)}</p>' if parts else ""
