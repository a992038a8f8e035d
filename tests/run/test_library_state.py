"""Global state of libraries: each step in a process of its own, with the library or without."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import pytest

STATE_OF = {
    "numpy.random": ("numpy", "numpy.random.seed(3)", "print(numpy.random.rand())"),
    "numpy.print": (
        "numpy",
        "numpy.set_printoptions(precision=2)",
        "print(numpy.array([1 / 3]))",
    ),
    "pandas": (
        "pandas",
        "pandas.set_option('display.max_rows', 7)",
        "print(pandas.get_option('display.max_rows'))",
    ),
    "matplotlib": (
        "matplotlib",
        "matplotlib.rcParams['lines.linewidth'] = 7",
        "print(matplotlib.rcParams['lines.linewidth'])",
    ),
    "torch seed": ("torch", "torch.manual_seed(3)", "print(torch.rand(2))"),
    "torch stream": ("torch", "torch.rand(1)", "print(torch.rand(2))"),
    "torch dtype": (
        "torch",
        "torch.set_default_dtype(torch.float64)",
        "print(torch.ones(1).dtype)",
    ),
    "torch gradients": (
        "torch",
        "torch.set_grad_enabled(False)",
        "print(torch.is_grad_enabled())",
    ),
    "torch threads": ("torch", "torch.set_num_threads(1)", "print(torch.get_num_threads())"),
    "torch determinism": (
        "torch",
        "torch.use_deterministic_algorithms(True)",
        "print(torch.are_deterministic_algorithms_enabled())",
    ),
    "torch cudnn": (
        "torch",
        "torch.backends.cudnn.benchmark = True",
        "print(torch.backends.cudnn.benchmark)",
    ),
}


@pytest.mark.parametrize("imported_before", [True, False], ids=["in the prelude", "in the step"])
@pytest.mark.parametrize("name", STATE_OF)
def test_the_state_of_a_library_arrives_wherever_it_is_imported(
    name: str, imported_before: bool, run_main: Callable[..., str]
) -> None:
    module, change, look = STATE_OF[name]
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    first, *found = run_main(
        f"""
        import json
        from kale_pm.runtime.process_state import changes, snapshot
        before = snapshot()
        import {module}
        {change}
        context = changes(before).carried
        {look}
        print(json.dumps(context))
        """
    ).splitlines()
    shown, context = "\n".join([first, *found[:-1]]), found[-1]
    assert (
        run_main(
            f"""
            import json, sys
            from kale_pm.runtime.process_state import replay
            if {imported_before}:
                import {module}
            assert replay(json.loads(sys.argv[1])) == []
            import {module}
            {look}
            """,
            context,
        ).strip()
        == shown
    )


def test_a_library_that_a_step_never_imports_is_not_imported_for_its_state(
    run_main: Callable[..., str],
) -> None:
    pytest.importorskip("pandas")
    assert (
        run_main(
            """
            import base64, pickle, sys
            from kale_pm.runtime.process_state import replay
            seven = base64.b64encode(pickle.dumps(7)).decode()
            replay({"pandas:display.max_rows": seven})
            print("pandas" in sys.modules)
            """
        ).strip()
        == "False"
    )


def test_what_cannot_be_set_after_an_import_is_a_warning(run_main: Callable[..., str]) -> None:
    pytest.importorskip("pandas")
    said = run_main(
        """
        import base64, pickle, warnings
        from kale_pm.runtime.process_state import replay
        broken = base64.b64encode(pickle.dumps(-1)).decode()
        replay({"pandas:no.such.option": broken})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import pandas
        print(*(str(warning.message) for warning in caught))
        """
    )
    assert "global state not replayed: pandas" in said
