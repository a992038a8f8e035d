"""Damaged, missing and foreign files: a step gets the right values or a clear error."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from recipes import Recipe, Step

from kale_pm.errors import LoadError
from kale_pm.runtime.manifest import (
    Change,
    Manifest,
    Variable,
    Version,
    read_manifest,
    write_manifest,
)

# A step that loads again and again while its input is damaged in one way after the other.
LOAD_DAMAGED = """
import sys
from pathlib import Path
import kale_pm.runtime
from kale_pm.errors import LoadError, PackError

rows_made, data_made = rows, np.array(data)
file = Path({file!r})
good = file.read_bytes()
refused, wrong = 0, []
for content in {damages}:
    file.write_bytes(content)
    rows = data = None
    try:
        kale_pm.runtime.load("rows", "data", step="use")
    except (LoadError, PackError):
        refused += 1
    except Exception as error:
        wrong.append(repr(error))
    else:
        if rows != rows_made or not np.array_equal(data, data_made):
            wrong.append("other values")
print(refused, sorted(set(wrong)))
file.write_bytes(good)
"""
TRUNCATED = "(good[:size] for size in range({start}, len(good), {stride}))"
FLIPPED = (
    "(good[:i] + bytes([good[i] ^ 1 << i % 8]) + good[i + 1:]"
    " for i in range({start}, len(good), {stride}))"
)


@pytest.fixture
def steps(on_one_machine: Recipe) -> Recipe:
    """A pipeline whose first step made rows in a stream and data in a segment."""
    on_one_machine.run(
        "a",
        gives="rows data",
        code="rows = [{'n': 1, 'text': 'x'}, 2.5]; data = np.arange(1025, dtype='f4')",
    )
    return on_one_machine


def use(steps: Recipe, code: str = "print(rows, data.sum())", **details: object) -> str:
    return steps.run("use", "a", needs="rows data", code=code, **details).printed


def message(steps: Recipe, **details: object) -> str:
    """What the step that needs the variables is told."""
    return steps.refused("use", "a", needs="rows data", **details).message


RIGHT = "[{'n': 1, 'text': 'x'}, 2.5] 524800.0"


class TestDamagedPack:
    @pytest.mark.parametrize("damages", [TRUNCATED, FLIPPED], ids=["truncated", "flipped"])
    def test_every_byte_of_a_small_pack(self, on_one_machine: Recipe, damages: str) -> None:
        on_one_machine.run("a", gives="rows data", code="rows = [1, {'a': 'b'}]; data = 7")
        file = on_one_machine.pack("a", "rows")
        code = LOAD_DAMAGED.format(file=str(file), damages=damages.format(start=0, stride=1))
        refused, _, wrong = use(on_one_machine, code).partition(" ")
        assert wrong == "[]"
        assert int(refused) > 300

    @pytest.mark.parametrize("damages", [TRUNCATED, FLIPPED], ids=["truncated", "flipped"])
    def test_bytes_all_over_a_pack_with_an_array(self, steps: Recipe, damages: str) -> None:
        file = steps.pack("a", "data")
        code = LOAD_DAMAGED.format(file=str(file), damages=damages.format(start=5, stride=19))
        refused, _, wrong = use(steps, code).partition(" ")
        assert wrong == "[]"
        assert int(refused) > 200

    def test_the_error_names_file_and_remedy(self, steps: Recipe) -> None:
        file = steps.pack("a", "rows")
        file.write_bytes(file.read_bytes()[:-1])
        said = message(steps)
        assert file.name in said
        assert "damaged" in said
        assert "run the step that wrote it again" in said

    def test_a_pack_that_is_not_there(self, steps: Recipe) -> None:
        steps.pack("a", "rows").unlink()
        assert "its file is gone" in message(steps)

    @pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"no pack at all" * 500])
    def test_some_other_file_in_its_place(self, steps: Recipe, content: bytes) -> None:
        steps.pack("a", "rows").write_bytes(content)
        assert "damaged" in message(steps)

    def test_a_folder_in_its_place(self, steps: Recipe) -> None:
        file = steps.pack("a", "rows")
        file.unlink()
        file.mkdir()
        assert file.name in message(steps)

    def test_a_whole_pack_of_another_step_in_its_place(self, steps: Recipe) -> None:
        steps.run("b", gives="rows data", code="rows, data = [0], np.zeros(1025, 'f4')")
        shutil.copy(steps.pack("b", "rows"), steps.pack("a", "rows"))
        assert steps.pack("a", "rows").name in message(steps)


class TestSeal:
    """Segments are read again only where the file looks as if it were another one."""

    @staticmethod
    def flip_in_segment(file: Path) -> None:
        content = bytearray(file.read_bytes())
        position = content.index(bytes.fromhex("0000803f00000040"))  # 1.0, 2.0
        content[position + 4002] ^= 1
        file.write_bytes(content)

    def test_a_flipped_byte_is_found_by_the_time_of_the_file(self, steps: Recipe) -> None:
        self.flip_in_segment(steps.pack("a", "data"))
        assert "data" in message(steps)

    def test_under_the_old_time_only_where_everything_is_verified(self, steps: Recipe) -> None:
        file = steps.pack("a", "data")
        status = file.stat()
        self.flip_in_segment(file)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert use(steps) != RIGHT
        assert "damaged" in message(steps, verify=True)

    def test_a_good_file_with_another_time_is_good(self, steps: Recipe) -> None:
        os.utime(steps.pack("a", "data"), (1e9, 1e9))
        assert use(steps) == RIGHT
        assert use(steps, verify=True) == RIGHT

    def test_a_run_that_was_copied_elsewhere_is_good(self, steps: Recipe) -> None:
        copied = steps.folder / "copied"
        for part in ("manifests", "packs"):
            shutil.copytree(steps.folder / part, copied / part, copy_function=shutil.copyfile)
            shutil.rmtree(steps.folder / part)
        steps.folder = copied
        assert use(steps) == RIGHT


class TestForeignPack:
    def test_of_a_newer_version(self, steps: Recipe) -> None:
        file = steps.pack("a", "rows")
        content = bytearray(file.read_bytes())
        content[8:12] = (99).to_bytes(4, "little")
        file.write_bytes(content)
        said = message(steps)
        assert "format" in said
        assert "version" in said

    def test_with_a_signature_which_nobody_can_check(self, steps: Recipe) -> None:
        """The room for it is part of the format: who signs relies on its being looked at."""
        file = steps.pack("a", "rows")
        content = file.read_bytes()
        signature = b"ed25519".ljust(16, b"\0") + b"s" * 64
        file.write_bytes(content[:-88] + signature + content[-8:])
        assert "sign" in message(steps)

    def test_of_another_python_that_this_one_cannot_read(self, on_one_machine: Recipe) -> None:
        on_one_machine.run(
            "a",
            gives="it",
            code="""
                import os, platform
                class Bytecode:
                    def __reduce__(self): return getattr, (os, "opcodes_of_python_3_99")
                os.opcodes_of_python_3_99 = 1
                platform.python_version = lambda: "3.99.1"
                it = [Bytecode()]
            """,
        )
        said = on_one_machine.refused("use", "a", needs="it").message
        assert "cannot load it" in said
        assert "it was written by Python 3.99.1" in said

    def test_of_another_python_that_this_one_can_read(self, on_one_machine: Recipe) -> None:
        on_one_machine.run(
            "a",
            gives="it",
            code="import platform; platform.python_version = lambda: '3.99.1'; it = [1]",
        )
        assert on_one_machine.run("use", "a", needs="it", code="print(it)").printed == "[1]"


def with_index(content: bytes, old: bytes, new: bytes) -> bytes:
    """A pack whose index says something else of the same length, under a hash that is right."""
    footer = content[-128:]
    start = len(content) - 128 - int.from_bytes(footer[:8], "little")
    index = content[start:-128].replace(old, new)
    assert index != content[start:-128]
    return content[:start] + index + footer[:8] + sha256(index).digest() + footer[40:]


class TestNames:
    """Names never become paths, not even those in files that somebody made by hand."""

    def test_a_pack_with_a_name_that_is_none(self, on_one_machine: Recipe) -> None:
        on_one_machine.run("a", gives="evil", code="evil = [1]")
        file = on_one_machine.pack("a", "evil")
        file.write_bytes(with_index(file.read_bytes(), b'"evil"', b'"../x"'))
        said = on_one_machine.refused("use", "a", needs="evil").message
        assert "'../x' is not the name of a variable" in said

    @pytest.mark.parametrize("step", ["../outside/evil", "{folder}/outside/evil"])
    def test_a_manifest_whose_step_is_a_path(self, steps: Recipe, step: str) -> None:
        step = step.format(folder=steps.folder)
        place = steps.handed_on("a").variables["rows"]
        versions = {"rows": Version(step, 1, place.component)}
        evil = steps.folder / "outside" / "evil.json"
        write_manifest(Manifest(step, 1, {"rows": place}, versions), evil)
        write_manifest(Manifest("b", 2, {}, versions), steps.manifest("b"))
        assert steps.refused("use", "b", needs="rows").error == "LoadError"

    def test_a_step_cannot_give_a_name_that_is_a_path(self, steps: Recipe) -> None:
        before = sorted(steps.folder.rglob("*"))
        (report,) = steps.together(
            Step("b", gives="../escape", code="globals()['../escape'] = [1]")
        )
        assert "../escape" in report.message
        assert sorted(steps.folder.rglob("*")) == before


class TestDamagedManifest:
    @pytest.fixture
    def full(self, tmp_path: Path) -> Path:
        manifest = Manifest(
            "a",
            3,
            {"x": Variable("int", "../packs/p.pack", "c1", size=3)},
            {"x": Version("a", 3, "c1"), "gone": Version("b", 1, None)},
            {"cwd:path": Change("a", 3, "gA==")},
            {"accuracy": 0.5, "größe": "viel"},
        )
        write_manifest(manifest, tmp_path / "a.json")
        return tmp_path / "a.json"

    def test_any_flipped_byte_is_found_or_means_nothing(self, full: Path) -> None:
        good, meaning = full.read_bytes(), read_manifest(full)
        hints = []
        for position in range(len(good)):
            for bit in (position % 8, 5):
                content = bytearray(good)
                content[position] ^= 1 << bit
                full.write_bytes(content)
                try:
                    assert read_manifest(full) == meaning, content
                except LoadError as error:
                    hints.append(error.hint)
        assert all(hints)
        assert len(hints) > len(good)

    def test_any_truncation_is_found_or_means_nothing(self, full: Path) -> None:
        good, meaning = full.read_bytes(), read_manifest(full)
        for size in range(len(good)):
            full.write_bytes(good[:size])
            with contextlib.suppress(LoadError):
                assert read_manifest(full) == meaning, good[:size]

    def test_a_step_is_told_so(self, steps: Recipe) -> None:
        file = steps.manifest("a")
        file.write_text(file.read_text().replace('"order": 0', '"order": 9'))
        said = message(steps)
        assert "a.json is damaged" in said
        assert "run the step that gives it again" in said

    def test_a_manifest_that_is_not_there(self, steps: Recipe) -> None:
        steps.manifest("a").unlink()
        assert "a.json" in message(steps)

    def test_one_of_a_newer_format_says_so_whatever_else_stands_in_it(self, steps: Recipe) -> None:
        steps.manifest("a").write_text(json.dumps({"format": 99, "new": "things"}))
        assert "format 99" in message(steps)
