"""A script that has a command line of its own beside the pipeline's."""

from __future__ import annotations

from tiny_scripts import SMALL

PARSING = """
import argparse
import sys

from kale_pm.sdk import pipeline, step


@step
def load(n):
    return n


@pipeline
def small(n: int = 4):
    load(n)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=3)
    {parse}
    small(n=given.count)
"""


class TestAScriptWithOptionsOfItsOwn:
    def test_is_told_how_the_two_are_parted(self, script, python_file):
        script(PARSING.format(parse="given = parser.parse_args()"))
        done = python_file("script.py", "--count", "5")
        assert done.returncode == 2
        assert "No such option: --count" in done.stderr
        assert "small.to_pipeline(...).run() takes no command line" in done.stderr
        assert "python -m kale_pm script.py OPTIONS OF THE PIPELINE --" in done.stderr

    def test_other_mistakes_have_nothing_to_do_with_that(self, script, python_file):
        script(SMALL)
        assert "to_pipeline" not in python_file("script.py", "-j", "many").stderr

    def test_gets_what_stands_behind_two_dashes(self, script, kale, tmp_path):
        script(PARSING.format(parse="given = parser.parse_args()"))
        done = kale("script.py", "compile", "-o", "small.yaml", "--", "--count", "5")
        assert done.code == 0, done.err
        assert "defaultValue: 5.0" in (tmp_path / "small.yaml").read_text(encoding="utf-8")

    def test_may_leave_to_the_pipeline_what_it_does_not_know(self, script, python_file, tmp_path):
        script(PARSING.format(parse="given, sys.argv[1:] = parser.parse_known_args()"))
        done = python_file("script.py", "--count", "5", "compile", "-o", "small.yaml")
        assert done.returncode == 0, done.stderr
        assert "defaultValue: 5.0" in (tmp_path / "small.yaml").read_text(encoding="utf-8")

    def test_has_steps_that_read_what_was_given(self, script, python_file):
        reading = """
            import argparse
            import sys

            from kale_pm.sdk import pipeline, step

            parser = argparse.ArgumentParser()
            parser.add_argument("--count", type=int, default=1)
            given, sys.argv[1:] = parser.parse_known_args()
            DOUBLE = 2 * given.count


            @step
            def show():
                print("count", given.count, DOUBLE)


            @pipeline
            def small():
                show()


            small()
        """
        script(reading)
        done = python_file("script.py", "--count", "7", "-v")
        assert "show | count 7 14" in done.stdout + done.stderr
