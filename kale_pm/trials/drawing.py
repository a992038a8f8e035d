"""What the pictures of trials are made of: axes, texts, and shapes that tell their trial.

They are inline SVG and take their colours and fonts from :func:`style`, which stands once on a
page.  A line or a dot leads to ``#trial-NUMBER``, and tells its trial to the pointer on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from kale_pm.trials.scales import Scale, Tick
from kale_pm.trials.table import TrialRow
from kale_pm.trials.values import html_text, shortened, value_text, visible

Point = tuple[float, float]

# Pixels, by estimate: no font can be asked without a library.
LETTER = 6.4  # of a tick
NAME_LETTER = 7.9
LINE = 15.0

CROWD, _THRONG = 60, 300  # trials, of which single ones are hardly seen any more


@dataclass(frozen=True)
class Axis:
    """A parameter or a metric as an axis; ``note`` says which end of it is the better one."""

    name: str
    label: str
    scale: Scale
    is_metric: bool = False
    note: str = ""

    def place(self, row: TrialRow) -> float | None:
        """Where the trial stands, from 0 to 1; None where it has no such value."""
        values = row.metrics if self.is_metric else row.parameters
        return self.scale.place(values[self.name]) if self.name in values else None


def style() -> str:
    """The style sheet of all pictures, for light and for dark pages."""
    return (resources.files(__package__) / "pictures.css").read_text("utf-8")


def svg(label: str, size: Point, *content: str) -> str:
    """A picture of ``size`` pixels; ``label`` tells it to people who do not see it."""
    width, height = (f"{each:.0f}" for each in size)
    return (
        f'<svg class="kale-trials" xmlns="http://www.w3.org/2000/svg" role="img"'
        f' aria-label="{html_text(label)}" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">{"".join(content)}</svg>\n'
    )


def linked(row: TrialRow, shape: str, axes: Sequence[Axis]) -> str:
    """The shape of a trial as a link, which tells what the trial has on the ``axes``."""
    values = [
        f"{axis.label} {value_text(values[axis.name])}"
        for axis in axes
        if axis.name in (values := row.metrics if axis.is_metric else row.parameters)
    ]
    ending = f" ({row.state})" if row.is_failure else ""
    title = html_text("\n".join([f"trial {row.number}{ending}", *values]))
    return f'<a href="#trial-{row.number}" tabindex="-1">{shape}<title>{title}</title></a>'


def text(content: str, at: Point, kind: str, *, room: float) -> str:
    """A text in so many pixels; the whole of a longer one shows at the pointer."""
    whole = visible(content)
    letter = NAME_LETTER if kind == "name" else LETTER
    short = shortened(whole, max(3, int(room / letter)))
    title = f"<title>{html_text(whole)}</title>" if short != whole else ""
    place = f'x="{at[0]:.1f}" y="{at[1]:.1f}"'
    return f'<text class="{kind}" {place}>{html_text(short)}{title}</text>'


def apart(ticks: Sequence[Tick], length: float, sizes: Sequence[float]) -> list[Tick]:
    """The ticks of an axis of so many pixels, without those whose texts would touch."""
    kept: list[Tick] = []
    end = float("-inf")
    for tick, size in zip(ticks, sizes, strict=True):
        middle = tick.place * length
        if middle - size / 2 >= end:
            kept.append(tick)
            end = middle + size / 2
    return kept


def density(count: int) -> str:
    """The class of so many shapes in one picture: the more there are, the fainter is each."""
    return " throng" if count > _THRONG else " crowd" if count > CROWD else ""


def pair(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"
