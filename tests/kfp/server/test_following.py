"""A run on the server told as a local one: events, states, the record at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fake_kfp import Answer, FakeKfp, Frame, Trouble, pod_name

from kale_pm.errors import ServerError
from kale_pm.events import (
    CellFinished,
    CellOutput,
    CellStarted,
    Event,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.following import Pace, follow
from kale_pm.kfp.server.logs import read_log
from kale_pm.kfp.server.record import Task, run_record, run_state, states, step_pods, tasks_of
from kale_pm.kfp.server.runs import get_run
from kale_pm.record import CellError, Place, RunRecord, State
from kale_pm.runtime.pod.announce import announce_error

TASKS = (Task("load", "step-load"), Task("train_all", "step-train-all", ("load",)))
LOOK = "GET /apis/v2beta1/runs/run-1"


@pytest.fixture
def run(server: FakeKfp, connection: Connection) -> Callable[..., tuple[RunRecord, list[Event]]]:
    """``run(frame, frame)`` follows a run that goes so."""

    def go(*frames: Frame) -> tuple[RunRecord, list[Event]]:
        server.runs["run-1"] = {
            "run_id": "run-1",
            "display_name": "wine of today",
            "created_at": "2026-11-21T10:00:00Z",
            "runtime_config": {"parameters": {"trees": 5, "words": 'json:["a"]'}},
        }
        server.frames = list(frames)
        events: list[Event] = []
        pace = Pace(0.0, sleep=lambda _: None)
        record = follow(
            connection, "run-1", TASKS, events.append, read_log=read_log, pace=pace, notebook="w"
        )
        return record, events

    return go


def of_steps(events: list[Event]) -> list[tuple[str, str]]:
    told = [event for event in events if isinstance(event, (StepStarted, StepFinished))]
    return [
        (event.step, event.state.value if isinstance(event, StepFinished) else "started")
        for event in told
    ]


def test_a_run_that_ends_well(run: Callable[..., tuple[RunRecord, list[Event]]]) -> None:
    record, events = run(
        Frame("PENDING"),
        Frame("RUNNING", {"load": "RUNNING"}),
        Frame("RUNNING", {"load": "RUNNING"}),
        Frame("RUNNING", {"load": "SUCCEEDED", "train_all": "RUNNING"}),
        Frame("SUCCEEDED", {"load": "SUCCEEDED", "train_all": "SUCCEEDED"}),
    )
    assert events[0] == RunStarted("run-1", "wine of today", ("load", "train_all"))
    assert of_steps(events) == [
        ("load", "started"),
        ("load", "done"),
        ("train_all", "started"),
        ("train_all", "done"),
    ]
    assert events[-1] == RunFinished("run-1", State.DONE, 90.0)
    assert record.state is State.DONE
    assert record.seconds == 90.0
    assert record.parameters == {"trees": 5, "words": ["a"]}
    assert record.notebook == "w"
    assert record.steps["load"].seconds == 7.0
    assert record.steps["train_all"].parents == ("load",)


def test_a_step_that_fails_takes_those_after_it_along(
    run: Callable[..., tuple[RunRecord, list[Event]]],
) -> None:
    record, events = run(
        Frame("RUNNING", {"load": "RUNNING"}),
        Frame("FAILED", {"load": "FAILED"}, errors={"load": "OOMKilled"}),
    )
    assert of_steps(events) == [("load", "started"), ("load", "failed"), ("train_all", "skipped")]
    assert record.state is State.FAILED
    assert [step.error.message for step in record.failures if step.error] == ["OOMKilled"]


def test_a_canceled_run_has_ended(run: Callable[..., tuple[RunRecord, list[Event]]]) -> None:
    record, events = run(
        Frame("RUNNING", {"load": "RUNNING"}),
        Frame("CANCELING", {"load": "RUNNING"}),
        Frame("CANCELED", {"load": "FAILED"}),
    )
    assert record.state is State.INTERRUPTED
    assert isinstance(events[-1], RunFinished)
    record, _ = run(Frame("CANCELED", {"load": "RUNNING"}))
    assert [step.state for step in record.steps.values()] == [State.INTERRUPTED, State.SKIPPED]


def test_what_kfp_had_in_its_cache_is_cached(
    run: Callable[..., tuple[RunRecord, list[Event]]],
) -> None:
    steps = {"load": "SUCCEEDED", "train_all": "SUCCEEDED"}
    record, events = run(Frame("SUCCEEDED", steps, cached=frozenset({"load"})))
    assert of_steps(events) == [("load", "cached"), ("train_all", "started"), ("train_all", "done")]
    assert record.state is State.DONE


def test_a_server_that_tells_nothing_of_the_steps_is_believed_about_the_run(
    run: Callable[..., tuple[RunRecord, list[Event]]],
) -> None:
    record, _ = run(Frame("SUCCEEDED"))
    assert {step.state for step in record.steps.values()} == {State.DONE}
    record, _ = run(Frame("FAILED"))
    assert record.state is State.FAILED
    assert {step.state for step in record.steps.values()} == {State.SKIPPED}


def test_a_step_whose_preparation_fails_has_failed(server: FakeKfp, connection: Connection) -> None:
    """The driver: it resolves the inputs and asks the cache before there is a pod."""
    server.runs["run-1"] = {"run_id": "run-1"}
    server.frames = [Frame("RUNNING")]
    found = get_run(connection, "run-1")
    detail = found.run_details.task_details[0]
    detail.display_name, detail.state = "step-load-driver", "FAILED"
    detail.error = type("Error", (), {"message": "no such secret"})
    assert states(found, TASKS)["load"] is State.FAILED
    failed = run_record(found, TASKS).steps["load"]
    assert failed.error is not None
    assert failed.error.message == "no such secret"


def test_logs_are_told_while_they_grow(
    server: FakeKfp, run: Callable[..., tuple[RunRecord, list[Event]]]
) -> None:
    pod = pod_name("load")
    begun = b"Collecting papermill\nkale-pm: load 1/2 (cell 3 of the notebook)\nhel"  # half a line
    framed = b"KALEPM-OUTPUTS load 1 1/1 00000000 AAAA\n"
    ended = begun + b"lo\nworld\nkale-pm: load 2/2\n" + framed + b"bye"
    texts = iter([None, begun, ended])  # at first the pod has only just begun

    def advance(_: object, found: str, name: str) -> Iterator[str]:
        assert (found, name) == ("run-1", pod)
        text = next(texts)
        server.logs = {} if text is None else {pod: text}
        return read_log(Connection(server.url, pause=0.0), found, name)

    server.runs["run-1"] = {"run_id": "run-1", "display_name": "wine"}
    looks = [Frame("RUNNING", {"load": "RUNNING"})] * 2
    server.frames = [*looks, Frame("SUCCEEDED", {"load": "SUCCEEDED"}, cached=frozenset())]
    events: list[Event] = []
    follow(
        Connection(server.url, pause=0.0),
        "run-1",
        TASKS[:1],
        events.append,
        read_log=advance,
        pace=Pace(0.0, sleep=lambda _: None),
    )
    assert events[2:-2] == [
        CellOutput("load", "stdout", "Collecting papermill\n"),
        CellStarted("load", 1, 2, 3),
        CellOutput("load", "stdout", "hello\n"),
        CellOutput("load", "stdout", "world\n"),
        CellFinished("load", 1, 2, 3, 0.0),
        CellStarted("load", 2, 2, None),
        CellOutput("load", "stdout", "bye\n"),
    ]


def test_a_failed_step_is_told_as_its_pod_has_written_it_down(
    server: FakeKfp,
    run: Callable[..., tuple[RunRecord, list[Event]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = CellError("ValueError", "no rows", cell=4, line=2, places=(Place(4, 2),))
    announce_error("load", 1, error, started=0.0, seconds=1.0)
    server.logs = {pod_name("load"): capsys.readouterr().out.encode()}
    frame = Frame("FAILED", {"load": "FAILED"}, errors={"load": "exit code 1"})
    record, events = run(frame)
    assert record.steps["load"].error == error
    finished = next(event for event in events if isinstance(event, StepFinished))
    assert finished.error == error
    assert not any(isinstance(event, CellOutput) for event in events)


def test_pods_are_those_of_the_step(server: FakeKfp, connection: Connection) -> None:
    server.runs["run-1"] = {"run_id": "run-1"}
    server.frames = [Frame("RUNNING", {"load": "RUNNING", "train_all": "RUNNING"})]
    found = get_run(connection, "run-1")
    assert [step_pods(found, task) for task in TASKS] == [
        (pod_name("load"),),
        (pod_name("train_all"),),
    ]
    for detail in found.run_details.task_details:
        detail.pod_name = None  # servers before 2.15 tell the ids of nodes alone
    assert step_pods(found, TASKS[0]) == (pod_name("load"),)


def test_each_try_has_its_pod(server: FakeKfp, connection: Connection) -> None:
    server.runs["run-1"] = {"run_id": "run-1"}
    server.frames = [Frame("RUNNING", {"load": "RUNNING"})]
    found = get_run(connection, "run-1")
    retried = found.run_details.task_details[-1]
    child = type(found.run_details.task_details[-2].child_tasks[0])
    tries = []
    for number in (0, 1):
        again = type(retried)(
            display_name=f"executor({number})", pod_name=f"wine-x7-system-container-impl-9{number}"
        )
        tries.append(again)
    retried.child_tasks = [child(pod_name="wine-x7-90"), child(pod_name="wine-x7-91")]
    found.run_details.task_details.extend(tries)
    assert step_pods(found, TASKS[0]) == tuple(each.pod_name for each in tries)


def test_a_server_in_trouble_is_waited_for(
    server: FakeKfp, run: Callable[..., tuple[RunRecord, list[Event]]]
) -> None:
    server.troubles = [Trouble(LOOK, Answer("", 503, "text/plain"), times=12)]
    record, events = run(Frame("SUCCEEDED"))
    assert record.state is State.DONE
    assert [type(event) for event in events].count(Warned) == 1


def test_but_not_for_ever(
    server: FakeKfp, run: Callable[..., tuple[RunRecord, list[Event]]]
) -> None:
    server.troubles = [Trouble(LOOK, Answer("", 503, "text/plain"), times=999)]
    with pytest.raises(ServerError, match="in trouble"):
        run(Frame("SUCCEEDED"))


def test_who_is_no_longer_known_hears_it_at_once(
    server: FakeKfp, run: Callable[..., tuple[RunRecord, list[Event]]]
) -> None:
    server.troubles = [Trouble(LOOK, Answer("", 401, "text/plain"), times=999)]
    with pytest.raises(ServerError, match="does not know you"):
        run(Frame("SUCCEEDED"))
    assert server.asked.count(LOOK) == 1


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("PENDING", State.WAITING),
        ("PAUSED", State.WAITING),
        ("RUNTIME_STATE_UNSPECIFIED", State.WAITING),
        ("A_STATE_OF_TOMORROW", State.WAITING),
        ("CANCELING", State.RUNNING),
        ("CANCELED", State.INTERRUPTED),
        ("SKIPPED", State.SKIPPED),
    ],
)
def test_the_states_of_kfp_in_our_words(said: str, state: State) -> None:
    assert run_state(type("Run", (), {"state": said})) is state


def test_the_steps_of_a_package_of_two_documents_are_found() -> None:
    spec = {"root": {"dag": {"tasks": {"step-a": {"taskInfo": {"name": "a"}}, "other": {}}}}}
    assert tasks_of({"pipeline_spec": spec, "platform_spec": {}}) == (Task("a", "step-a"),)
    assert tasks_of({}) == ()
