"""Trials as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kale_pm.errors import UsageError
from kale_pm.model import Parameter
from kale_pm.sweep import read_trials, space_of

Write = Callable[[str, str | bytes], Path]

PARAMETERS = [
    Parameter("lr", "float", 0.1),
    Parameter("depth", "int", 3),
    Parameter("name", "str", "x"),
    Parameter("layers", "list", []),
]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(name: str, content: str | bytes) -> Path:
        path = Path(name)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(path: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        space_of(PARAMETERS, {}, read_trials(path))
    assert caught.value.hint
    return caught.value


class TestCsv:
    def test_the_first_line_names_the_parameters(self, write: Write) -> None:
        rows = read_trials(write("trials.csv", "lr,depth\n0.5,7\n1e-3, 9\n"))
        assert [dict(row) for row in rows] == [
            {"lr": "0.5", "depth": "7"},
            {"lr": "1e-3", "depth": "9"},
        ]

    def test_an_empty_cell_is_the_default(self, write: Write) -> None:
        rows = read_trials(write("trials.csv", 'lr,depth,name\n0.5,,a\n,7, \n,," "\n'))
        assert [dict(row) for row in rows] == [
            {"lr": "0.5", "name": "a"},
            {"depth": "7"},
            {"name": " "},
        ]

    def test_quotes_protect_commas(self, write: Write) -> None:
        rows = read_trials(write("trials.csv", 'name,layers\n"a,""b""","[1, 2]"\n'))
        assert space_of(PARAMETERS, {}, rows).rows == ({"name": 'a,"b"', "layers": [1, 2]},)

    @pytest.mark.parametrize(
        "content",
        [
            "lr;name\n0.5;a,b\n",
            "lr\tname\n0.5\ta,b\n",
            b'\xef\xbb\xbflr,name\r\n0.5,"a,b"\r\n\r\n',
            '\n lr , name \n\n0.5,"a,b"',
        ],
    )
    def test_other_separators_and_the_habits_of_spreadsheets_are_understood(
        self, write: Write, content: str | bytes
    ) -> None:
        (row,) = read_trials(write("trials.csv", content))
        assert row == {"lr": "0.5", "name": "a,b"}

    @pytest.mark.parametrize(
        "content",
        [
            "lr\n0.1\n   \n \t\n0.2\n",
            "  \nlr,depth\n0.1,\n   \n0.2,\n",
            "  \nlr;depth\n0.1;\n0.2;",
        ],
    )
    def test_blank_lines_are_no_trials(self, write: Write, content: str) -> None:
        rows = read_trials(write("trials.csv", content))
        assert [dict(row) for row in rows] == [{"lr": "0.1"}, {"lr": "0.2"}]

    @pytest.mark.parametrize(
        ("name", "content"), [("trials.csv", 'lr\n""\n'), ("trials.tsv", "lr\tdepth\n\t\n")]
    )
    def test_a_line_of_empty_cells_has_the_defaults(
        self, write: Write, name: str, content: str
    ) -> None:
        assert [dict(row) for row in read_trials(write(name, content))] == [{}]

    def test_texts_are_spellings(self, write: Write) -> None:
        parameters = [Parameter("limit", "any", None), Parameter("name", "str", "", optional=True)]
        rows = read_trials(write("trials.csv", "limit,name\n5,null\ntrue,x\n"))
        assert space_of(parameters, {}, rows).rows == (
            {"limit": 5, "name": None},
            {"limit": True, "name": "x"},
        )

    def test_a_wrong_value_is_told_with_its_line(self, write: Write) -> None:
        error = refusal(write("trials.csv", "lr,depth\n1,1\n\n2,abc\n"))
        assert str(error) == "trials.csv, line 4: parameter 'depth': 'abc' is no int"
        assert "depth: int = 3" in error.hint

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "trials.csv: there is no trial in it"),
            ("lr,depth\n", "trials.csv: there is no trial in it"),
            ("lr,depth\n1,2,3\n", "line 2: it has 3 cells, and the first 2"),
            ("lr,depth\n1\n", "line 2: it has 1 cell, and the first 2"),
            ("lr,lr\n1,2\n", "line 1: 'lr' stands there twice"),
            ("lr,\n1,2\n", "line 1: column 2 has no name"),
            ("lr,dept\n1,2\n", "did you mean 'depth'?"),
            ('lr,name\n1,"a\n2,b\n', "line 3: "),
            (b"lr,name\n1,\xe9\n", "byte 11 is no UTF-8"),
        ],
    )
    def test_what_is_no_table_is_said(self, write: Write, content: str | bytes, words: str) -> None:
        assert words in str(refusal(write("trials.csv", content)))


class TestJson:
    def test_a_list_of_objects(self, write: Write) -> None:
        path = write("trials.json", '[{"lr": 1, "layers": [1, 2]}, {"name": "a"}, {}]')
        found = space_of(PARAMETERS, {}, read_trials(path))
        assert repr(found.rows) == "({'lr': 1.0, 'layers': [1, 2]}, {'name': 'a'}, {})"

    def test_texts_are_values(self, write: Write) -> None:
        parameters = [Parameter("limit", "any", None), Parameter("name", "str", "", optional=True)]
        content = '[{"limit": "5", "name": "null"}, {"limit": 5, "name": null}]'
        found = space_of(parameters, {}, read_trials(write("trials.json", content)))
        assert found.rows == ({"limit": "5", "name": "null"}, {"limit": 5, "name": None})

    def test_of_a_number_a_text_is_the_spelling(self, write: Write) -> None:
        path = write("trials.json", '[{"lr": "Infinity", "depth": "7", "layers": "[1]"}]')
        found = space_of(PARAMETERS, {}, read_trials(path))
        assert found.rows == ({"lr": float("inf"), "depth": 7, "layers": [1]},)

    @pytest.mark.parametrize("name", ["trials.jsonl", "trials.ndjson", "TRIALS.JSONL"])
    def test_an_object_in_each_line(self, write: Write, name: str) -> None:
        rows = read_trials(write(name, '{"lr": 1}\r\n\n{"name": "a\u2028b"}'))
        assert [dict(row) for row in rows] == [{"lr": 1}, {"name": "a\u2028b"}]

    def test_mixed_types_are_told_with_their_trial(self, write: Write) -> None:
        error = refusal(write("trials.json", '[{"depth": 1}, {"depth": [2]}]'))
        assert str(error) == "trials.json, trial 2: parameter 'depth': [2] is not of type int"

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("trials.json", "", "trials.json: it is no JSON"),
            ("trials.json", "[" * 100_000, "trials.json: it is no JSON"),
            ("trials.json", "[]", "there is no trial in it"),
            ("trials.json", '{"lr": [1, 2]}', "it is no list of objects"),
            ("trials.json", '[{"lr": 1}, 2]', "trials.json, trial 2: 2 is no object"),
            ("trials.json", '[{"lr": null}]', "trial 1: parameter 'lr': None is not of type float"),
            ("trials.jsonl", '{"lr": 1}\n{"lr"\n', "trials.jsonl, line 2: it is no JSON"),
            ("trials.jsonl", "\n[1]\n", "line 2: [1] is no object"),
            ("trials.jsonl", '\n{"depth": 1.5}\n', "line 2: parameter 'depth': 1.5 is not of"),
            ("trials.txt", "lr\n1\n", "a file of trials cannot end in .txt"),
            ("trials", "lr\n1\n", "its name has no ending"),
        ],
    )
    def test_what_is_no_such_file_is_said(
        self, write: Write, name: str, content: str, words: str
    ) -> None:
        assert words in str(refusal(write(name, content)))


class TestFinding:
    def test_a_missing_file_is_told_with_a_near_one(self, write: Write) -> None:
        write("trials.csv", "lr\n1\n")
        error = refusal(Path("trails.csv"))
        assert str(error) == "trails.csv: there is no such file"
        assert error.hint == "did you mean trials.csv?"

    def test_a_missing_folder_is_told(self, tmp_path: Path) -> None:
        error = refusal(tmp_path / "nowhere" / "trials.csv")
        assert "there is no folder" in error.hint

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "trials.csv").mkdir()
        assert "it is a folder" in str(refusal(tmp_path / "trials.csv"))
