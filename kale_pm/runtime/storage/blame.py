"""What is said of an error that an object's own code raises when it is stored or made again."""

from __future__ import annotations

import traceback

AGAIN_HINT = (
    "its class does not let itself be made again: give it a method __reduce__, tell "
    "kale-pm how to store it (kale_pm.saver), or make it in the step that needs it"
)
MEMORY = "free what is not needed any more (del), or give the step more memory (limit:memory)"


def blame(error: BaseException) -> str:
    """The error in a line, with the innermost function of the notebook that was running."""
    functions = [
        frame.f_code.co_qualname
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") == "__main__"
    ]
    return f"{functions[-1]} failed: {describe(error)}" if functions else describe(error)


def describe(error: BaseException) -> str:
    """The error in a line."""
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text[:120]}" if text else type(error).__name__
