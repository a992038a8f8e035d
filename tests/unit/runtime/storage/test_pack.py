"""The file of a step's variables: nothing is lost in it, and nothing wrong comes out of it."""

from __future__ import annotations

import contextlib
import gc
import re
import struct

import pytest

from kale_pm.errors import PackError, SaveError, StoreError
from kale_pm.runtime.storage.components import components
from kale_pm.runtime.storage.pack.reader import Pack
from kale_pm.runtime.storage.pack.writer import write_pack

NOBODY = frozenset[str]()


def write(folder, **variables):
    return write_pack(folder, components(variables, NOBODY), NOBODY)


def load(path):
    pack = Pack(path)
    loaded = {}
    for component in pack.components:
        loaded |= pack.load(component.id)
    return loaded


def round_trip(folder, **variables):
    return load(write(folder, **variables).path)


class TestContent:
    def test_variables_come_back(self, tmp_path):
        variables = {"a": 1, "text": "ü", "rows": [{"x": (1.5, None)}], "names": {"p", "q"}}
        assert round_trip(tmp_path, **variables) == variables

    def test_shared_objects_stay_shared(self, tmp_path):
        rows = [1]
        loaded = round_trip(tmp_path, rows=rows, holder={"rows": rows}, again=rows)
        assert loaded["holder"]["rows"] is loaded["rows"] is loaded["again"]

    def test_components_say_what_they_hold(self, tmp_path):
        stored = write(tmp_path, rows=[1], count=3, when=re.compile("a"))
        by_name = {component.names: component for component in stored.components}
        assert by_name["rows",].types == {"rows": "list"}
        assert by_name["when",].types == {"when": "re.Pattern"}
        assert all(component.size > 0 for component in stored.components)
        assert Pack(stored.path).components == stored.components

    def test_an_empty_pack(self, tmp_path):
        assert round_trip(tmp_path) == {}

    def test_every_load_is_independent(self, tmp_path):
        stored = write(tmp_path, rows=[1])
        pack = Pack(stored.path)
        first = pack.load(stored.components[0].id)
        first["rows"].append(2)
        assert pack.load(stored.components[0].id) == {"rows": [1]}

    def test_names_must_be_identifiers(self, tmp_path):
        with pytest.raises(ValueError, match="escape"):
            write_pack(tmp_path, [{"../escape": 1}], NOBODY)
        assert list(tmp_path.iterdir()) == []


class TestArrays:
    @pytest.fixture(autouse=True)
    def numpy(self):
        self.np = pytest.importorskip("numpy")

    @pytest.mark.parametrize("size", [12, 12_000])
    def test_views_stay_views(self, tmp_path, size):
        base = self.np.arange(float(size)).reshape(3, -1)
        views = {
            "row": base[1],
            "column": base[:, 0],
            "turned": base.T[::-1, ::-1],
            "raw": base.view("u1"),
        }
        loaded = round_trip(tmp_path, base=base, **views)
        for name, view in views.items():
            assert self.np.array_equal(loaded[name], view)
            assert loaded[name].strides == view.strides
        loaded["row"][0] = -1
        assert loaded["base"][1, 0] == loaded["column"][1] == loaded["turned"][-1, 1] == -1

    def test_overlapping_views_share_memory_without_their_base(self, tmp_path):
        base = self.np.arange(9000)
        loaded = round_trip(tmp_path, left=base[:5000], right=base[4000:])
        loaded["left"][4500] = -1
        assert loaded["right"][500] == -1
        assert loaded["right"][-1] == 8999

    @pytest.mark.parametrize(
        "make",
        [
            lambda np: np.array(3),
            lambda np: np.empty((0, 3)),
            lambda np: np.asfortranarray(np.arange(6).reshape(2, 3)),
            lambda np: np.asfortranarray(np.arange(6000).reshape(2, 3000)),
            lambda np: np.arange(24).reshape(2, 3, 4).transpose(1, 2, 0).copy("K"),
            lambda np: np.broadcast_to(np.arange(3), (2000, 3)),
            lambda np: np.array(["2020-01-01", "1999-12-31"], "datetime64[D]"),
            lambda np: np.array(["ab", "c"]),
            lambda np: np.frombuffer(b"abcdef", "u1")[1:],
            lambda np: np.zeros(2, [("a", "i1"), ("b", "f8")])["b"],
            lambda np: np.array([1, "a", None], dtype=object),
        ],
    )
    def test_any_layout(self, tmp_path, make):
        array = make(self.np)
        loaded = round_trip(tmp_path, a=array)["a"]
        assert self.np.array_equal(loaded, array)
        assert loaded.dtype == array.dtype
        assert loaded.flags.writeable == array.flags.writeable or array.dtype.hasobject

    def test_read_only_arrays_stay_so(self, tmp_path):
        for size in (5, 5000):
            array = self.np.arange(size)
            array.flags.writeable = False
            assert not round_trip(tmp_path, a=array)["a"].flags.writeable

    def test_large_arrays_are_mapped_at_aligned_addresses(self, tmp_path):
        loaded = round_trip(tmp_path, a=[self.np.zeros(5001, "u1"), self.np.ones(5000)])["a"]
        assert [array.ctypes.data % 64 for array in loaded] == [0, 0]
        assert not loaded[0].flags.owndata

    def test_writing_to_an_array_never_reaches_the_file(self, tmp_path):
        stored = write(tmp_path, a=self.np.zeros(100_000), b=[self.np.zeros(3)])
        content = stored.path.read_bytes()
        loaded = load(stored.path)
        loaded["a"][:] = 7
        loaded["b"][0][:] = 7
        assert stored.path.read_bytes() == content
        assert load(stored.path)["a"].sum() == 0

    def test_arrays_outlive_the_pack_and_its_file(self, tmp_path):
        stored = write(tmp_path, a=self.np.ones(100_000))
        pack = Pack(stored.path)
        array = pack.load(stored.components[0].id)["a"][10:]
        del pack
        stored.path.unlink()
        gc.collect()
        assert array.sum() == 99_990

    def test_frames_that_copy_on_write_stay_independent(self, tmp_path):
        pandas = pytest.importorskip("pandas", minversion="3")
        frame = pandas.DataFrame({"a": self.np.arange(900.0), "b": "x"})
        loaded = round_trip(
            tmp_path, both=[frame, frame.rename(columns={"a": "c"})], column=frame["a"]
        )
        loaded["both"][0].iloc[0, 0] = 99
        assert loaded["both"][1].iloc[0, 0] == 0
        assert loaded["column"].iloc[0] == 0
        pandas.testing.assert_frame_equal(load(write(tmp_path, f=frame).path)["f"], frame)

    def test_a_forest_predicts_the_same(self, tmp_path):
        ensemble = pytest.importorskip("sklearn.ensemble")
        x = self.np.random.default_rng(0).random((200, 4))
        model = ensemble.RandomForestClassifier(5, random_state=0).fit(x, x[:, 0] > 0.5)
        loaded = round_trip(tmp_path, model=model)["model"]
        assert self.np.array_equal(loaded.predict_proba(x), model.predict_proba(x))


class TestLibraries:
    def test_tensors_share_memory_with_each_other_and_with_arrays(self, tmp_path):
        torch = pytest.importorskip("torch")
        base = torch.arange(10.0)
        loaded = round_trip(tmp_path, base=base, view=base[2:], array=base.numpy())
        loaded["view"][0] = -1
        assert loaded["base"][2] == loaded["array"][2] == -1

    def test_an_optimizer_goes_on_driving_its_model(self, tmp_path):
        torch = pytest.importorskip("torch")
        model = torch.nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        loaded = round_trip(tmp_path, model=model, optimizer=optimizer)
        parameters = loaded["optimizer"].param_groups[0]["params"]
        assert parameters[0] is loaded["model"].weight
        assert torch.equal(parameters[0], model.weight)

    def test_polars_frames(self, tmp_path):
        polars = pytest.importorskip("polars")
        frame = polars.DataFrame({"a": [1, None], "s": ["x", "y"]})
        assert round_trip(tmp_path, frame=frame)["frame"].equals(frame)


class TestAddress:
    def test_equal_content_gets_one_file_and_equal_ids(self, tmp_path):
        first = write(tmp_path, a=[1, 2], b="x")
        second = write(tmp_path, a=[1, 2], b="x")
        assert first == second
        assert [path.name for path in tmp_path.iterdir()] == [first.path.name]
        assert re.fullmatch(r"[0-9a-f]{32}\.pack", first.path.name)

    def test_ids_are_the_same_in_every_process(self, run_main, tmp_path):
        code = """
            import sys
            from pathlib import Path
            from kale_pm.runtime.storage.components import components
            from kale_pm.runtime.storage.pack.writer import write_pack

            class Model:
                def __init__(self): self.w = [0.5, "x"]

            def score(m, *, k=2): return m.w[0] * k

            groups = components({"m": Model(), "f": score, "n": [1]}, frozenset({"Model"}))
            pack = write_pack(Path(sys.argv[1]), groups, frozenset({"Model"}))
            print([component.id for component in pack.components])
        """
        assert run_main(code, tmp_path) == run_main(code, tmp_path)
        assert len(list(tmp_path.iterdir())) == 1

    def test_other_content_or_another_name_gets_another_id(self, tmp_path):
        ids = {
            write(tmp_path, **variables).components[0].id
            for variables in ({"a": [1]}, {"a": [2]}, {"b": [1]}, {"a": [1.0]})
        }
        assert len(ids) == 4


class TestFailure:
    def test_a_failed_save_leaves_nothing(self, tmp_path):
        with pytest.raises(SaveError, match=r"cannot save bad\[1\]"):
            write_pack(tmp_path, [{"good": list(range(9000))}, {"bad": [1, iter(_rows())]}], NOBODY)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="cannot write variables"):
            write(tmp_path / "file", a=1)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(PackError, match="missing") as caught:
            Pack(tmp_path / "0.pack")
        assert caught.value.hint

    def test_an_unknown_version(self, tmp_path):
        path = write(tmp_path, a=1).path
        content = bytearray(path.read_bytes())
        content[8:12] = struct.pack("<I", 99)
        path.write_bytes(content)
        with pytest.raises(PackError, match="format"):
            Pack(path)

    def test_every_flipped_byte_is_found(self, tmp_path):
        """Those of arrays and of the gaps only by ``verify``: loading must not read them."""
        numpy = pytest.importorskip("numpy")
        variables = {"rows": [1, "x"], "a": numpy.arange(1025, dtype="f4")}
        path = write(tmp_path, **variables).path
        Pack(path).verify()
        good = path.read_bytes()
        bad = tmp_path / "bad.pack"
        for position in range(len(good)):
            content = bytearray(good)
            content[position] ^= 0x40
            bad.write_bytes(content)
            with pytest.raises(PackError):
                Pack(bad).verify()
            with contextlib.suppress(PackError):
                loaded = load(bad)
                assert loaded["rows"] == variables["rows"]
                assert (loaded["a"] != variables["a"]).sum() <= 1

    def test_every_truncation_is_found(self, tmp_path):
        path = write(tmp_path, a=[1, 2]).path
        good = path.read_bytes()
        bad = tmp_path / "bad.pack"
        for length in range(len(good)):
            bad.write_bytes(good[:length])
            with pytest.raises(PackError):
                load(bad)

    def test_what_cannot_be_loaded_here_is_said(self, run_main, tmp_path):
        code = """
            import sys, types
            from pathlib import Path
            from kale_pm.runtime.storage.pack.writer import write_pack

            shop = sys.modules["shop"] = types.ModuleType("shop")
            exec("class Cart: pass", shop.__dict__)
            print(write_pack(Path(sys.argv[1]), [{"cart": shop.Cart()}], frozenset()).path)
        """
        path = run_main(code, tmp_path)
        with pytest.raises(PackError, match="cannot load cart: ModuleNotFoundError") as caught:
            load(path)
        assert "install" in caught.value.hint


def _rows():
    yield 1


STEP = """
import sys
from pathlib import Path
import numpy as np
from kale_pm.runtime.storage.components import components
from kale_pm.runtime.storage.dump import fingerprint
from kale_pm.runtime.storage.pack.reader import Pack
from kale_pm.runtime.storage.pack.writer import write_pack

PRELUDE = frozenset({"Model"})
class Model:
    def __init__(self): self.w, self.big = [0], np.zeros(50_000)

folder, source = map(Path, sys.argv[1:3])
groups = [Pack(source).load(c.id) for c in Pack(source).components] if source.name else []
before = [fingerprint(group, PRELUDE) for group in groups]
for group in groups: globals().update(group)
BODY
names = [*(name for group in groups for name in group), *NEW]
print(write_pack(folder, components({n: globals()[n] for n in names}, PRELUDE), PRELUDE).path)
"""


class TestSteps:
    """Each step is a process of its own and gets what the one before it stored."""

    @pytest.fixture
    def step(self, run_main, tmp_path):
        pytest.importorskip("numpy")

        def run(source, body, new=()):
            code = STEP.replace("BODY", body).replace("NEW", repr(new))
            return run_main(code, tmp_path, source)

        return run

    def test_aliases_survive_any_number_of_steps(self, step):
        made = step(
            "",
            "first = second = Model(); data = np.arange(9000.); view = data[10:]; cfg = {}",
            ("first", "second", "data", "view", "cfg"),
        )
        changed = step(made, "second.w.append(1); second.big[0] = 5; view[0] = -1")
        step(
            changed,
            "assert first is second and first.w == [0, 1] and first.big[0] == 5\n"
            "assert data[10] == -1 and type(first) is Model",
        )
        # A sibling of the step that wrote sees what the common parent stored.
        step(made, "assert first.w == [0] and first.big[0] == 0 and data[10] == 10")

    def test_objects_of_a_class_of_an_earlier_step_keep_one_class(self, step):
        made = step("", "class Late: pass\na = Late(); b = [Late()]; a.x = 1", ("a", "b"))
        step(made, "assert type(a) is type(b[0]) and a.x == 1")

    def test_reading_changes_nothing_and_writing_only_its_component(self, step):
        made = step("", "m = Model(); rows = [{'a': 1}]; k = 1", ("m", "rows", "k"))
        step(
            made,
            "print(m.big.sum(), rows[0])\n"
            "assert [fingerprint(g, PRELUDE) for g in groups] == before\n"
            "rows[0]['a'] = 2\n"
            "assert sum(fingerprint(g, PRELUDE) != b for g, b in zip(groups, before)) == 1",
        )


@pytest.mark.parametrize(
    ("culprit", "definition"),
    [
        ("Late.__setstate__ failed: KeyError", "def __setstate__(self, state): state['gone']"),
        (
            "Late.__new__",
            "def __new__(cls, x): pass\n    def __reduce__(self): return Late.__new__, (Late,)",
        ),
    ],
)
def test_what_could_not_be_made_again_is_found_when_it_is_stored(
    run_main, tmp_path, culprit, definition
):
    code = f"""
import sys
from pathlib import Path
from kale_pm.errors import SaveError
from kale_pm.runtime.storage.pack.writer import write_pack

class Late:
    def __init__(self): self.x = 1
    {definition}

late = object.__new__(Late)
late.x = 1
try:
    write_pack(Path(sys.argv[1]), [{{"it": [1, {{"late": late}}]}}], frozenset(["Late"]))
except SaveError as error:
    print(error.message, "|", error.hint)
"""
    message, _, hint = run_main(code, tmp_path).partition(" | ")
    assert "cannot save it[1]['late']: " in message
    assert culprit in message
    assert "__reduce__" in hint
    assert "kale_pm.saver" in hint
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_made_again_in_another_process_is_named_with_what_to_do(run_main, tmp_path):
    code = """
import os, sys
from pathlib import Path
from kale_pm.errors import PackError
from kale_pm.runtime.storage.pack.reader import Pack
from kale_pm.runtime.storage.pack.writer import write_pack

class Late:
    def __setstate__(self, state): state[os.environ.get("GONE", "x")]

late = Late()
late.x = 1
stored = write_pack(Path(sys.argv[1]), [{"it": late}], frozenset(["Late"]))
os.environ["GONE"] = "gone"
try:
    Pack(stored.path).load(stored.components[0].id)
except PackError as error:
    print(error.message, "|", error.hint)
"""
    message, _, hint = run_main(code, tmp_path).partition(" | ")
    assert "cannot load it: Late.__setstate__ failed: KeyError: 'gone'" in message
    assert "__reduce__" in hint


def test_storing_leaves_the_classes_of_the_notebook_alone(run_main, tmp_path):
    code = """
import enum, sys
from pathlib import Path
from kale_pm.runtime.storage.pack.writer import write_pack

registry = []

class Base:
    names = []
    def __init_subclass__(cls): registry.append(cls)

class Part(Base):
    pass

class Kind(enum.Enum):
    SMALL = 1

names, kinds = Base.names, [*Kind]
write_pack(Path(sys.argv[1]), [{"it": [Part(), Part, Kind.SMALL]}], frozenset())
assert Base.names is names
assert registry == [Part]
assert all(one is other for one, other in zip(Kind, kinds))
"""
    run_main(code, tmp_path)
