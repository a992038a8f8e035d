"""What is said where the parameters of a sweep are wrong."""

from __future__ import annotations

from collections.abc import Sequence

from kale_pm.errors import ParameterError
from kale_pm.model import Parameter
from kale_pm.notebook.spelling import nearest
from kale_pm.notebook.values import bind, describe

# Beyond this a sweep is a slip of the keyboard, which should not fill the memory first.
LARGEST = 1_000_000  # values of one parameter, trials of one sweep


def misfit(parameter: Parameter, reason: str) -> ParameterError:
    """The error of a value, or of several, that this parameter cannot take."""
    return ParameterError(parameter.name, reason, [describe(parameter)])


def empty(parameter: Parameter, text: str) -> ParameterError:
    """The error of a parameter whose values, spelled ``text``, are none at all."""
    return misfit(parameter, f"there is no trial: {text} has no value")


def too_many(parameter: Parameter, text: str) -> ParameterError:
    """The error of a parameter whose values, spelled ``text``, are beyond ``LARGEST``."""
    reason = f"{text} has more than {LARGEST:,} values; take fewer, or draw between two ends"
    return misfit(parameter, reason)


def named(parameters: Sequence[Parameter], name: str, language: str) -> Parameter:
    """The parameter of this name.  Raises ParameterError, with a near name, where none is."""
    known = {parameter.name: parameter for parameter in parameters}
    if name in known:
        return known[name]
    near = nearest(name, known)
    if near is None:
        bind(parameters, {name: ""}, language)  # which says what holds in this language
    reason = f"there is no such parameter; did you mean '{near}'?"
    raise ParameterError(name, reason, [describe(parameter) for parameter in parameters])
