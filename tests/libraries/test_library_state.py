"""What a step leaves in libraries, beside its variables, is there in the steps after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

REGISTRATIONS = {
    "frame of pandas": (
        "pandas",
        "pandas.api.extensions.register_dataframe_accessor",
        "pandas.DataFrame({'a': [1, 2]})",
    ),
    "series of pandas": (
        "pandas",
        "pandas.api.extensions.register_series_accessor",
        "pandas.Series([1, 2])",
    ),
    "index of pandas": (
        "pandas",
        "pandas.api.extensions.register_index_accessor",
        "pandas.Index([1, 2])",
    ),
    "frame of polars": (
        "polars",
        "polars.api.register_dataframe_namespace",
        "polars.DataFrame({'a': [1, 2]})",
    ),
    "series of polars": (
        "polars",
        "polars.api.register_series_namespace",
        "polars.Series([1, 2])",
    ),
    "dataset of xarray": (
        "xarray",
        "xarray.register_dataset_accessor",
        "xarray.Dataset({'a': 1, 'b': 2})",
    ),
    "array of xarray": (
        "xarray",
        "xarray.register_dataarray_accessor",
        "xarray.DataArray([1, 2])",
    ),
}
CLASS = """
    import pandas
    class Census:
        def __init__(self, data): self.data = data
        def count(self): return len(self.data)
"""
REGISTER = "pandas.api.extensions.register_series_accessor('census')"


@pytest.mark.parametrize("name", REGISTRATIONS)
def test_accessor_follows(name: str, steps: Callable) -> None:
    library, register, data = REGISTRATIONS[name]
    pipeline = steps(f"import {library}", library)
    pipeline.run(
        f"""
        @{register}("census")
        class Census:
            def __init__(self, data): self.data = data
            def count(self): return len(self.data)
        """
    )
    pipeline.run("")
    pipeline.run(f"assert {data}.census.count() == 2")


def test_accessor_waits_for_the_import_of_its_library(steps: Callable) -> None:
    pipeline = steps("", "pandas", are_imported=False)
    pipeline.run(f"{CLASS}\n    {REGISTER}(Census)")
    pipeline.run(
        """
        import sys
        assert "pandas" not in sys.modules
        import pandas
        assert pandas.Series([1, 2]).census.count() == 2
        """
    )


def test_accessor_of_the_prelude_is_registered_by_every_step_itself(steps: Callable) -> None:
    pipeline = steps(f"{CLASS}\n    {REGISTER}(Census)", "pandas")
    pipeline.run("")
    assert pipeline.state() == []


def test_accessor_that_a_step_registers_takes_the_place_of_another(steps: Callable) -> None:
    pipeline = steps(f"{CLASS}\n    {REGISTER}(Census)", "pandas")
    pipeline.run(
        f"""
        @{REGISTER}
        class Twice(Census):
            def count(self): return 2 * super().count()
        import warnings
        warnings.simplefilter("error")
        """
    )
    pipeline.run("assert pandas.Series([1, 2]).census.count() == 4")


def test_accessor_that_a_step_removes_is_gone(steps: Callable) -> None:
    pipeline = steps("import pandas", "pandas")
    pipeline.run(f"{CLASS}\n    {REGISTER}(Census)")
    pipeline.run("del pandas.Series.census")
    pipeline.run("assert not hasattr(pandas.Series([1]), 'census')")


def test_accessor_of_a_library_comes_with_its_import(steps: Callable) -> None:
    pipeline = steps(CLASS, "pandas")
    pipeline.run(f"Census.__module__ = 'census.accessors'\n{REGISTER}(Census)")
    assert pipeline.state() == []


def test_accessor_that_cannot_be_stored_is_told(steps: Callable) -> None:
    pipeline = steps("import pandas", "pandas")
    errors = pipeline.run(
        f"{CLASS}\n    Census.rows = (n for n in range(3))\n    {REGISTER}(Census)"
    )
    assert "changed the pandas.accessors Series.census" in errors
    assert "later steps do not see that" in errors


def test_layers_of_keras_are_numbered_on(steps: Callable) -> None:
    pipeline = steps("import keras", "keras torch")
    pipeline.run("assert keras.layers.Dense(1).name == 'dense'")
    pipeline.run("assert keras.layers.Dense(1).name == 'dense_1'")


def test_settings_of_keras_follow(steps: Callable) -> None:
    pipeline = steps("import keras", "keras torch")
    pipeline.run("keras.config.set_floatx('float64'); keras.config.set_epsilon(1e-3)")
    pipeline.run(
        """
        assert keras.layers.Dense(1).compute_dtype == "float64"
        assert keras.config.epsilon() == 1e-3
        """
    )
