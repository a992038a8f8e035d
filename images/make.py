"""Make the pictures of the README from examples/wine.ipynb and examples/wine_sweep.ipynb.

wine-dag.svg and wine-sweep.svg, the trials of a sweep, are always made.  report.png, the report
of a run, needs `chromium` on the PATH.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import kale_pm
from kale_pm.report import as_svg
from kale_pm.trials.gallery import lines

IMAGES = Path(__file__).resolve().parent
NOTEBOOK = IMAGES.parent / "examples" / "wine.ipynb"
SWEPT = NOTEBOOK.with_name("wine_sweep.ipynb")
VALUES = {"components": [1, 2, 8], "reach": [0.03, 0.3, 3, 30]}
WIDTH, HEIGHT = 1200, 1300  # pixels
COLOURS = 128


def draw_dag() -> Path:
    """The steps of the notebook and their edges."""
    pipeline = kale_pm.load(NOTEBOOK)
    path = IMAGES / "wine-dag.svg"
    path.write_text(as_svg(pipeline.parents, implied=pipeline.implied_edges), encoding="utf-8")
    return path


def draw_trials() -> Path:
    """A line for each trial, through its parameters and metrics."""
    path = IMAGES / "wine-sweep.svg"
    with tempfile.TemporaryDirectory() as folder:
        pipeline = kale_pm.load(SWEPT)
        sweep = pipeline.sweep(folder=folder, best="accuracy:max", reports=0, **VALUES)
        picture = lines(sweep.rows, goal=sweep.goal, varied=sweep.record.varied)
    path.write_text(picture, encoding="utf-8")
    return path


def photograph_report(browser: str) -> Path:
    """The report of a second run with another parameter, where some steps are reused."""
    path = IMAGES / "report.png"
    with tempfile.TemporaryDirectory() as folder:
        pipeline = kale_pm.load(NOTEBOOK)
        pipeline.run(folder=folder)
        run = pipeline.run(folder=folder, trees=50)
        # The picture must not tell in which folder it was made.
        run = replace(run, record=replace(run.record, notebook="examples/wine.ipynb"))
        photograph(browser, run.write_report(), path)
    return path


def photograph(browser: str, page: Path, target: Path) -> None:
    """The upper part of a page, in few colours: text loses nothing, and the file stays small."""
    from PIL import Image

    shot = page.with_suffix(".png")
    command = [browser, "--headless", "--no-sandbox", "--hide-scrollbars"]
    command += [f"--window-size={WIDTH},{HEIGHT}", "--virtual-time-budget=8000"]
    command += [f"--screenshot={shot}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)
    with Image.open(shot) as image:
        image.convert("RGB").quantize(COLOURS).save(target, optimize=True)


def main() -> None:
    print(draw_dag())
    print(draw_trials())
    browser = shutil.which("chromium")
    if browser is None:
        print("report.png: not made, there is no chromium on the PATH")
    else:
        print(photograph_report(browser))


if __name__ == "__main__":
    main()
