"""Which variables travel together, and how a change is noticed."""

from __future__ import annotations

import abc
import dataclasses
import datetime
import logging
import pathlib
import threading
from typing import ClassVar, Optional

import pytest

from kale_pm.errors import SaveError
from kale_pm.runtime.storage.components import components
from kale_pm.runtime.storage.dump import fingerprint
from kale_pm.runtime.storage.pack.reader import Pack
from kale_pm.runtime.storage.pack.writer import write_pack

NOBODY = frozenset[str]()


def groups(**variables):
    return [list(group) for group in components(variables, NOBODY)]


class Model:
    def __init__(self):
        self.weights = [0]


class TestComponents:
    def test_variables_of_their_own_stay_alone(self):
        assert groups(a=[1], b={"x": 1}, c=Model(), d=1) == [["a"], ["b"], ["c"], ["d"]]

    def test_two_names_of_one_object_belong_together(self):
        model = Model()
        assert groups(first=model, other=[1], second=model) == [["first", "second"], ["other"]]

    def test_a_shared_part_joins_at_any_depth(self):
        model = Model()
        assert groups(model=model, deep={"a": [(model.weights,)]}) == [["model", "deep"]]

    def test_sharing_is_transitive(self):
        first, second = [1], [2]
        assert groups(a=first, b=second, c=[first, second]) == [["a", "b", "c"]]

    def test_an_object_and_its_bound_method_belong_together(self):
        lock, items = threading.Lock(), [1]
        assert groups(items=items, append=items.append, lock=lock, again=[lock]) == [
            ["items", "append"],
            ["lock", "again"],
        ]

    def test_closures_over_one_variable_belong_together(self):
        def counter():
            count = 0

            def up():
                nonlocal count
                count += 1

            return up, lambda: count

        up, get = counter()
        assert groups(up=up, get=get, other=lambda: None) == [["up", "get"], ["other"]]

    def test_equal_constants_classes_and_modules_join_nothing(self):
        when, home = datetime.datetime.now(tz=datetime.UTC), pathlib.Path("home")
        shared = ["text" * 9, 10**30, (1, "a"), when, home, Model, len, groups, logging]
        shared += [logging.getLogger("x"), slice(1, 2)]
        assert groups(a=list(shared), b=list(shared)) == [["a"], ["b"]]

    def test_objects_of_one_class_share_nothing_by_that(self):
        class Local:
            table = {}

        assert groups(a=Local(), b=Local()) == [["a"], ["b"]]

    def test_a_class_and_what_is_in_it_belong_together_but_not_its_instances(self):
        rows = [1]

        class Local:
            table = rows

        assert groups(rows=rows, a=Local(), b=Local(), Local=Local) == [
            ["rows", "Local"],
            ["a"],
            ["b"],
        ]

    def test_two_classes_share_nothing_that_belongs_to_a_library(self):
        @dataclasses.dataclass
        class First:
            x: list[int] = dataclasses.field(default_factory=list)
            y: Optional[int] = None  # noqa: UP045 - typing keeps one object for all uses

        @dataclasses.dataclass(kw_only=True)
        class Second(abc.ABC):
            x: ClassVar[Optional[int]] = None  # noqa: UP045
            z: str = dataclasses.field(metadata={"unit": "m"}, default="")

            @abc.abstractmethod
            def use(self) -> Optional[int]: ...  # noqa: UP045

        assert groups(First=First, Second=Second) == [["First"], ["Second"]]

    def test_what_a_class_holds_belongs_to_all_that_have_it(self, run_main):
        run_main("""
            from kale_pm.runtime.storage.components import components

            def groups(**variables):
                return [list(group) for group in components(variables, frozenset())]

            rows, other = [1], [2]

            class Log:
                lines = rows
                own = []

            class Short(Log):
                pass

            def make(target):
                class Writer:
                    def put(self, value): target.append(value)
                class Reader:
                    def get(self): return target[-1]
                return Writer(), Reader()

            writer, reader = make(other)
            assert groups(log=Log(), rows=rows) == [["log", "rows"]]
            assert groups(rows=rows, first=[Log()], second=Short(), x=[1]) == [
                ["rows", "first", "second"], ["x"]
            ]
            assert groups(first=Log(), second=Short(), third=Log()) == [
                ["first"], ["second"], ["third"]
            ]
            assert groups(writer=writer, other=other) == [["writer", "other"]]
            assert groups(writer=writer, x=[1], reader=reader) == [["writer", "reader"], ["x"]]
            assert groups(kind=Log, first=Log(), second=Log()) == [["kind"], ["first"], ["second"]]
            assert groups(both=[Log(), rows], log=Log()) == [["both", "log"]]
        """)

    def test_what_a_variable_of_very_many_objects_shares_is_found(self):
        shared, text = [1], "a text that both have"
        rows = [{"number": n, "name": f"n{n}"} for n in range(200_000)]
        rows[150_000]["shared"] = shared
        rows[160_000]["text"] = text
        assert groups(a=[shared], rows=rows, b=[2], c=[text]) == [["a", "rows"], ["b"], ["c"]]

    def test_two_variables_of_very_many_objects_belong_together_without_a_closer_look(self):
        first, second = ([{"number": n} for n in range(300_000)] for _ in range(2))
        assert groups(a=[1], first=first, second=second) == [["a"], ["first", "second"]]

    def test_millions_of_numbers_are_not_very_many_objects(self):
        assert groups(a=list(range(300_000)), b=list(range(300_000))) == [["a"], ["b"]]

    def test_nothing_gives_nothing(self):
        assert groups() == []

    def test_what_cannot_be_pickled_is_named(self):
        with pytest.raises(SaveError, match=r"cannot save b\[0\]"):
            components({"a": 1, "b": [iter(x for x in "a")], "c": []}, NOBODY)


class TestArrays:
    @pytest.fixture(autouse=True)
    def numpy(self):
        self.np = pytest.importorskip("numpy")

    @pytest.mark.parametrize("size", [12, 12_000])
    def test_views_belong_to_their_array(self, size):
        base = self.np.zeros((3, size // 3))
        assert groups(base=base, row=base[1], column=base[:, 0], turned=base.T[::-1]) == [
            ["base", "row", "column", "turned"]
        ]

    def test_views_that_outlive_their_array_belong_together_if_they_overlap(self):
        base = self.np.zeros(9000)
        left, right, apart = base[:5000], base[4000:6000], base[7000:]
        del base
        assert groups(left=left, right=right, apart=apart) == [["left", "right"], ["apart"]]

    def test_copies_and_dtypes_join_nothing(self):
        base = self.np.zeros(9000)
        function = self.np.log
        assert groups(a=base, b=base.copy(), c=[function], d=[function]) == [
            ["a"],
            ["b"],
            ["c"],
            ["d"],
        ]

    def test_a_frame_and_the_array_that_it_was_made_of(self):
        pandas = pytest.importorskip("pandas")
        base = self.np.zeros((900, 3))
        assert groups(base=base, frame=pandas.DataFrame(base, copy=False)) == [["base", "frame"]]

    def test_frames_that_copy_on_write_are_independent(self):
        pandas = pytest.importorskip("pandas", minversion="3")
        frame = pandas.DataFrame({"a": self.np.arange(900.0), "b": ["x"] * 900})
        assert groups(frame=frame, renamed=frame.rename(columns={"a": "c"}), a=frame["a"]) == [
            ["frame"],
            ["renamed"],
            ["a"],
        ]


class TestFingerprint:
    def test_equal_as_long_as_nothing_changes(self):
        variables = {"model": Model(), "rows": [{"id": 1}], "names": {"a", "b"}}
        assert fingerprint(variables, NOBODY) == fingerprint(variables, NOBODY)

    def test_the_order_of_the_names_does_not_matter(self):
        model = Model()
        assert fingerprint({"a": model, "b": [model]}, NOBODY) == fingerprint(
            {"b": [model], "a": model}, NOBODY
        )

    def test_a_change_at_any_depth_shows(self):
        model = Model()
        before = fingerprint({"m": [model]}, NOBODY)
        model.weights.append(1)
        assert fingerprint({"m": [model]}, NOBODY) != before

    def test_a_lost_alias_is_a_change(self):
        shared = [1]
        before = fingerprint({"a": shared, "b": shared}, NOBODY)
        assert fingerprint({"a": shared, "b": [1]}, NOBODY) != before

    def test_it_is_the_id_that_the_component_gets(self, tmp_path):
        variables = {"a": [1, {"x": 2.5}]}
        stored = write_pack(tmp_path, [variables], NOBODY)
        assert stored.components[0].id == fingerprint(variables, NOBODY)

    def test_what_was_loaded_and_left_alone_is_unchanged(self, tmp_path):
        numpy = pytest.importorskip("numpy")
        base = numpy.arange(9000.0)
        variables = {"base": base, "view": base[5:], "small": numpy.eye(2), "model": [Model()]}
        stored = write_pack(tmp_path, components(variables, NOBODY), NOBODY)
        for component in stored.components:
            loaded = Pack(stored.path).load(component.id)
            assert fingerprint(loaded, NOBODY) == component.id

    @pytest.mark.parametrize("size", [10, 100_000])
    def test_one_element_of_a_loaded_array_is_a_change(self, tmp_path, size):
        numpy = pytest.importorskip("numpy")
        stored = write_pack(tmp_path, [{"a": numpy.zeros(size)}], NOBODY)
        loaded = Pack(stored.path).load(stored.components[0].id)
        before = fingerprint(loaded, NOBODY)
        assert loaded["a"].sum() == 0
        assert fingerprint(loaded, NOBODY) == before
        loaded["a"][-1] = 1
        assert fingerprint(loaded, NOBODY) != before
