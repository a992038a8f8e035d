"""Images of Pillow and figures of matplotlib, which can still be changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from library_cases import PRELUDE, cases

CASES = cases(
    "PIL.Image",
    image=(
        """
        from PIL import Image
        v = Image.new("RGBA", (40, 30), (1, 2, 3, 4))
        v.info["author"] = "ada"
        """,
        """
        assert v.size == (40, 30) and v.getpixel((9, 9)) == (1, 2, 3, 4)
        assert v.info == {"author": "ada"}
        """,
    ),
    palette=(
        """
        from PIL import Image
        v = Image.new("P", (2, 2), 1)
        v.putpalette([0, 0, 0, 250, 0, 0])
        """,
        "assert v.mode == 'P' and v.convert('RGB').getpixel((0, 0)) == (250, 0, 0)",
    ),
    opened_file=(
        """
        from PIL import Image
        Image.new("L", (4, 4), 9).save("grey.png")
        v = Image.open("grey.png")
        """,
        "assert v.format == 'PNG' and v.getpixel((0, 0)) == 9",
    ),
) | cases(
    "matplotlib.figure matplotlib.pyplot",
    figure_and_axes=(
        """
        from matplotlib import pyplot
        figure, axes = pyplot.subplots(1, 2)
        line, = axes[1].plot([1, 2, 3], label="mine")
        v = {"figure": figure, "axes": axes, "line": line}
        pyplot.close(figure)  # as a notebook does after the cell
        """,
        """
        import io
        assert v["figure"].axes[1] is v["axes"][1] and v["line"].axes is v["axes"][1]
        v["axes"][0].set_title("later")
        v["line"].set_ydata([3, 2, 1])
        v["figure"].savefig(io.BytesIO(), format="png")
        assert v["figure"].axes[0].get_title() == "later"
        """,
    ),
    figure_with_pictures_and_three_dimensions=(
        """
        import numpy
        from matplotlib.figure import Figure
        v = Figure()
        v.add_subplot(121).imshow(numpy.eye(3), cmap="gray")
        v.add_subplot(122, projection="3d").plot([1], [2], [3])
        v.colorbar(v.axes[0].images[0])
        """,
        """
        import io
        v.savefig(io.BytesIO(), format="png")
        assert len(v.axes) == 3 and v.axes[0].images[0].get_array().shape == (3, 3)
        """,
    ),
)


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_the_same(name: str, steps: Callable) -> None:
    case = CASES[name]
    steps(PRELUDE, case.needs).hand_over(case.make, case.use)
