"""Arrays of numpy: views share memory, large arrays are mapped from the file, not copied."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from library_cases import PRELUDE, cases

CASES = cases(
    "numpy",
    large_array=(
        "import numpy; v = numpy.arange(100_000.0)",
        """
        assert is_mapped(address(v)) and v[-1] == 99_999 and v.flags.writeable
        v[0] = 7
        assert v[0] == 7
        """,
    ),
    views=(
        """
        import numpy
        whole = numpy.arange(100_000.0).reshape(100, 1000)
        v = [whole, whole[3:5], whole.T, whole[::-1, ::2], whole.ravel()]
        """,
        """
        v[0][4, 0] = -1
        assert v[1][1, 0] == v[2][0, 4] == v[3][95, 0] == v[4][4000] == -1
        assert not v[2].flags.c_contiguous and v[3].strides == (-8000, 16)
        """,
    ),
    view_without_its_owner=(
        """
        import numpy
        v = numpy.arange(100_000.0)[1000:90_000:2]
        """,
        "assert v[1] == 1002 and len(v) == 44_500 and is_mapped(address(v))",
    ),
    columns_first=(
        "import numpy; v = numpy.asfortranarray(numpy.arange(40_000.0).reshape(200, 200))",
        "assert v.flags.f_contiguous and v[1, 0] == 200 and is_mapped(address(v))",
    ),
    small_array_and_its_view=(
        "import numpy; owner = numpy.arange(6); v = [owner, owner[::2]]",
        "v[0][2] = 50; assert v[1].tolist() == [0, 50, 4]",
    ),
    records=(
        "import numpy; v = numpy.zeros(20_000, dtype=[('at', 'M8[s]'), ('x', 'f4', (2,))])",
        "v['x'][3] = 1; assert v[3]['x'].sum() == 2 and v.dtype.names == ('at', 'x')",
    ),
    record_array=(
        "import numpy; v = numpy.rec.array([(1, 2.5)], dtype=[('n', 'i4'), ('x', 'f8')])",
        "import numpy; assert type(v) is numpy.recarray and v.x[0] == 2.5",
    ),
    dates_and_spans=(
        """
        import numpy
        v = [numpy.array(["2024-02-29", "NaT"], "M8[D]"), numpy.array([90], "m8[s]")]
        """,
        """
        import numpy
        assert v[0].dtype == "M8[D]" and numpy.isnat(v[0][1]) and v[1][0].item().seconds == 90
        """,
    ),
    objects=(
        """
        import numpy
        part = [1]
        v = [numpy.array([part, None, 2], dtype=object), part]
        """,
        "v[1].append(2); assert v[0][0] == [1, 2] and v[0].dtype == object",
    ),
    texts=(
        "import numpy; v = numpy.array(['a', 'long']), numpy.array([b'x'])",
        "assert v[0].dtype == '<U4' and v[1].tolist() == [b'x']",
    ),
    variable_length_texts=(
        """
        import numpy
        v = numpy.array(["a", "a long text"], dtype=numpy.dtypes.StringDType())
        """,
        """
        import numpy
        assert v.dtype == numpy.dtypes.StringDType() and v.tolist() == ["a", "a long text"]
        """,
    ),
    masked=(
        """
        import numpy
        v = numpy.ma.masked_less(numpy.arange(20_000.0), 5)
        v.fill_value = -1
        """,
        "assert v.mask.sum() == 5 and v.fill_value == -1 and v.filled()[0] == -1",
    ),
    masked_array_over_other_arrays=(
        """
        import numpy
        data, mask = numpy.zeros(5), numpy.zeros(5, bool)
        large = numpy.zeros(5000)
        v = [data, mask, numpy.ma.MaskedArray(data, mask, copy=False, hard_mask=True),
             large, numpy.ma.MaskedArray(large, fill_value=3)]
        """,
        """
        import numpy
        v[0][1], v[1][2], v[3][7] = 5, True, 6
        assert v[2].tolist() == [0, 5, None, 0, 0] and v[2].hardmask
        assert v[4][7] == 6 and v[4].fill_value == 3 and v[4].mask is numpy.ma.nomask
        v[4][8] = numpy.ma.masked
        assert v[4].mask.sum() == 1
        """,
    ),
    small_subclass_over_an_array=(
        """
        import numpy
        class Wave(numpy.ndarray): pass
        data = numpy.zeros(5)
        v = [data, data.view(Wave), data.view(Wave)[1:]]
        """,
        "v[0][1] = 5; assert v[1][1] == 5 and v[2][0] == 5 and type(v[2]) is type(v[1])",
    ),
    file_of_numbers=(
        """
        import numpy
        v = numpy.memmap("numbers", dtype="i4", mode="w+", shape=(5000,))
        v[:] = 3
        """,
        "assert v.sum() == 15_000 and v.dtype == 'i4'",
    ),
    read_only=(
        """
        import numpy
        v = [numpy.arange(3), numpy.arange(100_000)]
        for array in v: array.flags.writeable = False
        """,
        "assert not any(array.flags.writeable for array in v)",
    ),
    without_dimensions=(
        "import numpy; v = numpy.array(2.5)",
        "assert v.shape == () and v == 2.5; v[...] = 3; assert v == 3",
    ),
    without_elements=(
        "import numpy; v = numpy.empty((3, 0), dtype='f4', order='F')",
        "assert v.shape == (3, 0) and v.dtype == 'f4'",
    ),
    broadcast=(
        "import numpy; v = numpy.broadcast_to(numpy.arange(3), (1000, 3))",
        "assert v.shape == (1000, 3) and v.strides[0] == 0 and v[999].tolist() == [0, 1, 2]",
    ),
    swapped_bytes=(
        "import numpy; v = numpy.arange(2000, dtype='>i4')",
        "assert v.dtype == '>i4' and v[1999] == 1999",
    ),
    subclass_with_attribute_in_its_class=(
        """
        import numpy
        class Wave(numpy.ndarray):
            rate = 44_100
        v = numpy.zeros(50_000).view(Wave)
        """,
        "assert v.rate == 44_100 and type(v + 1) is type(v) and is_mapped(address(v))",
    ),
    subclass_with_attributes_of_its_instances=(
        """
        import numpy
        class Wave(numpy.ndarray):
            def __array_finalize__(self, other): self.rate = getattr(other, "rate", 1)
        whole = numpy.zeros(50_000)
        wave = whole.view(Wave)
        wave.rate = 8_000
        v = [whole, wave]
        """,
        """
        v[0][3] = 1
        assert v[1].rate == v[1][2:].rate == 8_000 and v[1][3] == 1
        """,
    ),
    matrix=(
        "import numpy; v = numpy.matrix([[1, 2], [3, 4]])",
        "import numpy; assert type(v) is numpy.matrix and (v * v)[0, 0] == 7",
    ),
    generator_of_random_numbers=(
        "import numpy; g = numpy.random.default_rng(3); v = [g, g.bit_generator]",
        "assert v[0].bit_generator is v[1]",
    ),
    functions_and_types=(
        "import numpy; v = [numpy.log, numpy.float32, numpy.dtype('f4'), numpy.newaxis]",
        "import numpy; assert v[0] is numpy.log and v[1] is numpy.float32 and v[2] == 'f4'",
    ),
)


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_the_same(name: str, steps: Callable) -> None:
    case = CASES[name]
    steps(PRELUDE, case.needs).hand_over(case.make, case.use)
