"""How fast kale-pm saves and loads variables, beside pickle, its relatives, and Kale.

    python benchmarks/marshal.py
    python benchmarks/marshal.py --peer KALE/bin/python

See README.md in this folder for what is printed.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import limits
import tables
from command_line import command_line, rounds_of
from limits import Verdict
from marshallers import KALE, MARSHALLERS, OURS, PLAIN
from payloads import PAYLOADS, VARIABLES
from rounds import WAYS, Figure, Rounds, Series, WorkerError, ask, missing_modules

QUESTIONS = ("unchanged", "scalar")
ROUNDS = 5
QUICK_SCALE = 0.01
DISK = 3  # times the largest payload, so that half of it stays free for others
MEMORY = 5  # times: the payload, what the hungriest tool adds to it, the page cache

# key of a measurement, heading, what one unit of it is, digits
COLUMNS = (
    ("save_seconds", "save s", 1.0, 3),
    ("save_fsync", "fsync s", 1.0, 3),
    ("load_untouched", "load ms", 1e-3, 1),
    ("load_seconds", "touched s", 1.0, 3),
    ("save_size", "file MB", 1e6, 1),
    ("save_peak", "save +MB", 1e6, 0),
    ("load_peak", "load +MB", 1e6, 0),
    ("load_private", "kept MB", 1e6, 0),
)
COMPARED = ("save_seconds", "load_seconds")
DISTRIBUTIONS = ("kale-pm", "cloudpickle", "dill", "joblib", "numpy", "pandas", "pyarrow", "torch")


@dataclass
class Report:
    """Everything that a run has found so far."""

    machine: Series | None = None
    payloads: list[Figure] = field(default_factory=list)
    variables: list[Figure] = field(default_factory=list)
    questions: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def verdicts(self) -> Iterator[Verdict]:
        for figure in self.payloads:
            yield from limits.of_payload(figure)
        for figure in self.questions:
            judge = limits.of_unchanged if figure.name == "unchanged" else limits.of_scalar
            yield from judge(figure)
        for figure in self.variables:
            yield from limits.of_variables(figure)


# -- what is printed --------------------------------------------------------------------------


def show(report: Report, options: Options) -> None:
    versions = ", ".join(f"{name} {number}" for name, number in _versions(options).items())
    tables.show(
        (versions, _conditions(options)),
        (_machine(report), _payloads(report), _variables(report), _verdicts(report, options)),
        report.notes,
    )


def _machine(report: Report) -> Any:
    table = tables.table("this machine", "GB/s")
    for name in report.machine.turns[0] or {} if report.machine else ():
        table.add_row(name, _number(report.machine, name, 1e9, 1))
    return table


def _payloads(report: Report) -> Any:
    headings = []
    for key, heading, _, _ in COLUMNS:
        headings += [heading, "x"] if key in COMPARED else [heading]
    table = tables.table("payload", "", *headings)
    table.columns[1].justify = "left"
    for figure in report.payloads:
        title = figure.title
        for tool, series in figure.series.items():
            row = [title, tool]
            for key, _, unit, digits in COLUMNS:
                row.append(_number(series, key, unit, digits))
                if key in COMPARED:
                    row.append(_times(figure.ratio(tool, key)))
            table.add_row(*row)
            title = ""
        table.add_row()
    return table


def _variables(report: Report) -> Any:
    table = tables.table("variables of a step", "plain s", *(f"{way} x" for way in WAYS[1:]))
    for figure in report.variables:
        if figure.series:
            ratios = (_times(figure.ratio(way, "seconds")) for way in WAYS[1:])
            plain = _number(figure.series["plain"], "seconds", 1.0, 3)
            table.add_row(figure.title, plain, *ratios)
    return table


def _verdicts(report: Report, options: Options) -> Any:
    title = "limits" if options.scale == 1 else "limits, meant for full size"
    table = tables.table(title, "found", "limit", "")
    for verdict in report.verdicts():
        digits = 2 if verdict.unit == "x" else 1
        found, limit = (
            f"{number:.{digits}f} {verdict.unit}" for number in (verdict.found, verdict.limit)
        )
        judgement = "kept" if verdict.is_kept else "MISSED"
        table.add_row(verdict.what, found, limit, judgement if options.scale == 1 else "")
    return table


def _number(series: Series | None, key: str, unit: float, digits: int) -> str:
    median = series.median(key) if series else None
    return "" if median is None else f"{median / unit:.{digits}f}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _conditions(options: Options) -> str:
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        f" | scale {options.scale:g}, median of {options.rounds} rounds; x: times {PLAIN} in-band"
    )


def _versions(options: Options) -> dict[str, str]:
    found: dict[str, str] = ask(sys.executable, "versions", *DISTRIBUTIONS)
    return found | (ask(options.peer, "versions", "kubeflow-kale") if options.peer else {})


def to_dict(report: Report, options: Options) -> dict[str, Any]:
    """The same for a program: every round, and the verdicts."""
    return {
        "versions": _versions(options),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()),
        "scale": options.scale,
        "rounds": options.rounds,
        "machine": report.machine.turns if report.machine else [],
        "payloads": tables.figures_to_dicts(report.payloads),
        "variables": tables.figures_to_dicts(report.variables),
        "questions": tables.figures_to_dicts(report.questions),
        "limits": [{**asdict(it), "kept": it.is_kept} for it in report.verdicts()],
        "notes": report.notes,
    }


# -- the command ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    peer: str | None
    only: tuple[str, ...]
    tools: tuple[str, ...]
    scale: float
    rounds: int
    folder: Path
    as_json: bool


def parse(arguments: Sequence[str] | None = None) -> Options:
    parts = ("machine", *PAYLOADS, *QUESTIONS, *(f"variables-{name}" for name in VARIABLES))
    tools = [tool for tool in MARSHALLERS if tool != KALE]
    parser = command_line("Time saving and loading of variables.", parts, ROUNDS)
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter that has kubeflow-kale")
    parser.add_argument("--tools", nargs="+", choices=tools, metavar="TOOL", help=", ".join(tools))
    parser.add_argument("--scale", type=float, help="of all sizes; 1 is about 1 GB (default: 1)")
    given = parser.parse_args(arguments)
    scale = given.scale or (QUICK_SCALE if given.quick else 1.0)
    if scale <= 0:
        parser.error("--scale must be above zero")
    chosen = tuple(given.tools or tools)
    return Options(
        peer=given.peer,
        only=tuple(given.only),
        tools=tuple(tool for tool in tools if tool in {*chosen, PLAIN, OURS}),
        scale=scale,
        rounds=rounds_of(given, ROUNDS),
        folder=given.folder,
        as_json=given.as_json,
    )


def refusal(options: Options) -> str:
    """Why the machine is too small for what is asked, in one line; "" if it is not."""
    sizes = [PAYLOADS[part].size for part in options.only if part in PAYLOADS]
    sizes += [case.size for name, case in VARIABLES.items() if f"variables-{name}" in options.only]
    if {"machine", *QUESTIONS} & set(options.only):
        sizes.append(PAYLOADS["array"].size)
    largest = max(sizes) * options.scale
    disk, memory = DISK * largest, MEMORY * largest
    free, available = shutil.disk_usage(options.folder).free, _available_memory()
    if free < disk:
        return (
            f"{options.folder} has {free / 1e9:.1f} GB free, and this takes {disk / 1e9:.1f} GB: "
            "name another folder with --dir, or make all smaller with --scale"
        )
    if available < memory:
        return (
            f"{available / 1e9:.1f} GB of memory are free, and this takes {memory / 1e9:.1f} GB: "
            "make all smaller with --scale"
        )
    return ""


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise WorkerError("/proc/meminfo does not tell how much memory is free")


def run(options: Options, folder: Path) -> Report:
    """Take everything that was asked for, one payload at a time."""
    report = Report()

    def note(line: str) -> None:
        if line not in report.notes:
            report.notes.append(line)
            print(line, file=sys.stderr)

    pythons = dict.fromkeys(options.tools, sys.executable)
    if options.peer:
        pythons[KALE] = options.peer
    for tool, python in list(pythons.items()):
        missing = missing_modules(python, MARSHALLERS[tool].needs)
        if missing:
            note(f"without {tool}: {python} has no {', '.join(missing)}")
            del pythons[tool]
    rounds = Rounds(options.rounds, options.scale, folder, pythons, note)
    if "machine" in options.only:
        report.machine = rounds.machine()
    for part in options.only:
        if part in PAYLOADS:
            report.payloads.append(rounds.payload(part))
        elif part in QUESTIONS:
            question = rounds.unchanged if part == "unchanged" else rounds.scalar
            report.questions.append(question())
        elif part.startswith("variables-"):
            report.variables.append(rounds.variables(part.removeprefix("variables-")))
        print(f"{part}: done", file=sys.stderr)
    return report


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the folder is removed
    try:
        reason = refusal(options)
        if reason:
            print(reason, file=sys.stderr)
            return 2
        with tempfile.TemporaryDirectory(prefix="kale-pm-marshal-", dir=options.folder) as folder:
            report = run(options, Path(folder))
    except (OSError, WorkerError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.as_json:
        print(json.dumps(to_dict(report, options), indent=2))
    else:
        show(report, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
