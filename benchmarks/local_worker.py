"""What local.py asks of kale-pm's and papermill's Python faces.  The last line printed is JSON.

    python local_worker.py run NOTEBOOK               kale_pm.load(NOTEBOOK).run()
    python local_worker.py papermill NOTEBOOK...      one after another, with papermill's engine
    python local_worker.py engine NOTEBOOK...         one after another, with kale-pm's
    python local_worker.py memory NOTEBOOK            the command `kale-pm run`, and its memory

Seconds are those of the calls: the package itself is imported before.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from usage import resident


def run(notebook: str) -> dict[str, float]:
    import kale_pm

    start = time.perf_counter()
    kale_pm.load(notebook).run()
    return {"seconds": time.perf_counter() - start}


def papermill(notebooks: Sequence[str], engine: str | None) -> dict[str, float]:
    from papermill import execute_notebook

    start = time.perf_counter()
    for notebook in notebooks:
        path = Path(notebook)
        execute_notebook(
            path, path.with_name(f"executed_{path.name}"), engine_name=engine, progress_bar=False
        )
    return {"seconds": time.perf_counter() - start}


def memory(notebook: str) -> dict[str, float]:
    """Bytes that were resident at most in the process of the command itself."""
    from kale_pm.cli import main

    sys.argv = ["kale-pm", "run", notebook]
    start = time.perf_counter()
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
    return {"seconds": time.perf_counter() - start, "memory": resident("VmHWM")}


def answer(what: str, notebooks: Sequence[str]) -> dict[str, float]:
    match what:
        case "run":
            return run(*notebooks)
        case "papermill":
            return papermill(notebooks, None)
        case "engine":
            return papermill(notebooks, "kale-pm")
        case "memory":
            return memory(*notebooks)
    raise SystemExit(f"{what}: not a question")


if __name__ == "__main__":
    found = answer(sys.argv[1], sys.argv[2:])
    print("\n" + json.dumps(found))
