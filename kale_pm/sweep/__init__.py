"""Many runs of one pipeline: what varies, the trials that this makes, and what they share.

From text, values or a file to a :class:`Space`, from it to trials, and from them to the
:class:`Plan` of all executions, without carrying out any.  Inside, from the bottom up:
``faults``, ``ranges``, ``space``; ``spelling``, ``given`` and ``files``, which read what
somebody gave; ``cautions``, ``sharing``.
"""

from kale_pm.sweep.files import Row, read_trials
from kale_pm.sweep.given import space_of
from kale_pm.sweep.ranges import Range
from kale_pm.sweep.sharing import Execution, Plan, plan_sweep
from kale_pm.sweep.space import Choices, Space, Trial, draws, grid, trials
from kale_pm.sweep.spelling import read_assignments, read_choices

__all__ = [
    "Choices",
    "Execution",
    "Plan",
    "Range",
    "Row",
    "Space",
    "Trial",
    "draws",
    "grid",
    "plan_sweep",
    "read_assignments",
    "read_choices",
    "read_trials",
    "space_of",
    "trials",
]
