"""A KFP server as far as kale-pm needs one: real HTTP, the bodies checked by KFP's own models.

It keeps pipelines, experiments and runs.  Tests say how runs go (``frames``), what goes wrong
(``troubles``) and who may come in (``guard``), and read afterwards what was asked.  To serve
more, add a line to ``ROUTES`` and the method that it names.
"""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import RLock, Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zlib import crc32

import kfp_server_api
import yaml

CREATED = "2026-11-21T10:00:00Z"
LARGEST_PARAMETERS = 10_000
COOKIE = "oauth2_proxy_kubeflow=let-me-in"

ROUTES = (
    ("GET", r"/apis/v2beta1/healthz", "healthz"),
    ("GET", r"/apis/v2beta1/pipelines/names/([^/]+)", "pipeline_by_name"),
    ("POST", r"/apis/v2beta1/pipelines", "create_pipeline"),
    ("POST", r"/apis/v2beta1/pipelines/upload_version", "upload_version"),
    ("GET", r"/apis/v2beta1/pipelines/([^/]+)/versions", "list_versions"),
    ("GET", r"/apis/v2beta1/pipelines/([^/]+)/versions/([^/]+)", "get_version"),
    ("GET", r"/apis/v2beta1/experiments", "list_experiments"),
    ("POST", r"/apis/v2beta1/experiments", "create_experiment"),
    ("GET", r"/apis/v2beta1/runs", "list_runs"),
    ("POST", r"/apis/v2beta1/runs", "create_run"),
    ("GET", r"/apis/v2beta1/runs/([^/:]+)", "get_run"),
    ("POST", r"/apis/v2beta1/runs/([^/:]+):terminate", "terminate_run"),
    ("GET", r"/apis/v2beta1/recurringruns", "list_recurring_runs"),
    ("POST", r"/apis/v2beta1/recurringruns", "create_recurring_run"),
    ("GET", r"/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log", "log"),
)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def cookies(self) -> dict[str, str]:
        jar = SimpleCookie(self.headers.get("Cookie", ""))
        return {name: morsel.value for name, morsel in jar.items()}

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True)
class Answer:
    content: Any = ""
    status: int = 200
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> bytes:
        if isinstance(self.content, bytes):
            return self.content
        text = self.content if isinstance(self.content, str) else json.dumps(self.content)
        return text.encode()


class Refused(Exception):
    """Raised where the server says no; the body is what KFP's gateway makes of it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer = Answer({"error": message, "code": 3, "message": message}, status)


@dataclass
class Trouble:
    """What goes wrong with requests such as ``POST /apis/v2beta1/runs``, ``times`` times.

    ``done`` says that the server does what was asked before it answers wrongly.
    """

    request: str
    answer: Answer
    times: int = 1
    done: bool = False


@dataclass(frozen=True)
class Frame:
    """How a run stands at one look: ``steps`` by their names, in KFP's words for states.

    Those in ``cached`` were not carried out, ``errors`` are what the server says of a step.
    ``keys`` are what the package calls steps that share a component with others.
    """

    state: str = "RUNNING"
    steps: Mapping[str, str] = field(default_factory=dict)
    cached: frozenset[str] = frozenset()
    errors: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeKfp:
    """What the server holds and how it answers.

    ``asked`` are the requests so far, as ``POST /apis/...``, and ``received`` the same in
    full.  Looks at a run take the ``frames`` one after the other; the last one stays.  ``logs``
    go by the names of pods.  ``guard`` is None, ``token`` (bearer ``token``), ``cookie`` or
    ``dex`` (``users``, with or without a page of ``approval``).  The API lies below ``prefix``.
    """

    url: str = ""
    prefix: str = ""
    multi_user: bool = False
    allowed: tuple[str, ...] = ("me",)
    guard: str | None = None
    token: str = "good-token"
    users: dict[str, str] = field(default_factory=lambda: {"ann@example.org": "s3cret&word"})
    approval: bool = True
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: list[bytes] = field(default_factory=list)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    recurring_runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=lambda: [Frame("SUCCEEDED")])
    logs: dict[str, bytes] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    received: list[Request] = field(default_factory=list)
    lock: RLock = field(default_factory=RLock)

    def answer(self, request: Request) -> Answer:
        with self.lock:
            self.asked.append(f"{request.method} {request.path}")
            self.received.append(request)
            if (page := self._entrance(request)) is not None:
                return page
            if not request.path.startswith(f"{self.prefix}/apis/"):
                return Answer("<html><body>Kubeflow</body></html>", 200, "text/html")
            path = request.path.removeprefix(self.prefix)
            trouble = self._trouble(f"{request.method} {path}")
            if trouble is not None and not trouble.done:
                return trouble.answer
            try:
                answer = self._serve(request, path)
            except Refused as refused:
                answer = refused.answer
            return trouble.answer if trouble is not None else answer

    def _trouble(self, asked: str) -> Trouble | None:
        for trouble in self.troubles:
            if trouble.times and trouble.request == asked:
                trouble.times -= 1
                return trouble
        return None

    def _serve(self, request: Request, path: str) -> Answer:
        for method, pattern, name in ROUTES:
            found = re.fullmatch(pattern, path)
            if method == request.method and found:
                content = getattr(self, name)(request, *map(unquote, found.groups()))
                return content if isinstance(content, Answer) else Answer(content)
        raise Refused(404, f"Not Found: {request.method} {path}")

    # -- the API

    def healthz(self, _: Request) -> dict[str, Any]:
        return {"multi_user": self.multi_user}

    def pipeline_by_name(self, request: Request, name: str) -> dict[str, Any]:
        namespace = request.query.get("namespace", "")
        for pipeline in self.pipelines.values():
            if (pipeline["display_name"], pipeline.get("namespace", "")) == (name, namespace):
                return pipeline
        raise Refused(404, f"ResourceNotFoundError: Pipeline {name} not found.")

    def create_pipeline(self, request: Request) -> dict[str, Any]:
        pipeline = body(request, "V2beta1Pipeline")
        known = {each["display_name"] for each in self.pipelines.values()}
        if pipeline["display_name"] in known:
            raise Refused(409, f"The name {pipeline['display_name']} already exist.")
        return keep(self.pipelines, "pipeline_id", {**pipeline, "created_at": CREATED})

    def upload_version(self, request: Request) -> dict[str, Any]:
        pipeline, name = request.query["pipelineid"], request.query["name"]
        if pipeline not in self.pipelines:
            raise Refused(404, f"Pipeline {pipeline} not found.")
        if any(known["display_name"] == name for known in self._versions_of(pipeline)):
            raise Refused(409, f"The name {name} already exist.")
        package = uploaded_file(request)
        documents = list(yaml.load_all(package, Loader=yaml.CSafeLoader))
        self.packages.append(package)
        version = {
            "pipeline_id": pipeline,
            "display_name": name,
            "name": name,
            "created_at": CREATED,
            "pipeline_spec": (
                dict(zip(("pipeline_spec", "platform_spec"), documents, strict=True))
                if len(documents) == 2
                else documents[0]
            ),
        }
        return keep(self.versions, "pipeline_version_id", version)

    def list_versions(self, request: Request, pipeline: str) -> dict[str, Any]:
        return page_of("pipeline_versions", self._versions_of(pipeline), request)

    def get_version(self, _: Request, pipeline: str, version: str) -> dict[str, Any]:
        if self.versions.get(version, {}).get("pipeline_id") != pipeline:
            raise Refused(404, f"Version {version} not found.")
        return self.versions[version]

    def list_experiments(self, request: Request) -> dict[str, Any]:
        namespace = self._namespace(request.query.get("namespace", ""), "list", "experiments")
        found = [e for e in self.experiments.values() if e.get("namespace", "") == namespace]
        return page_of("experiments", found, request)

    def create_experiment(self, request: Request) -> dict[str, Any]:
        experiment = body(request, "V2beta1Experiment")
        self._namespace(experiment.get("namespace", ""), "create", "experiments")
        kept = {**experiment, "created_at": CREATED, "storage_state": "AVAILABLE"}
        return keep(self.experiments, "experiment_id", kept)

    def create_run(self, request: Request) -> dict[str, Any]:
        run = self._order(body(request, "V2beta1Run"))
        return keep(self.runs, "run_id", {**run, "state": "PENDING", "created_at": CREATED})

    def list_runs(self, request: Request) -> dict[str, Any]:
        newest = [
            run
            for run in reversed(self.runs.values())
            if run["experiment_id"] == request.query.get("experiment_id", run["experiment_id"])
        ]
        return page_of("runs", newest, request)

    def get_run(self, _: Request, run_id: str) -> dict[str, Any]:
        if run_id not in self.runs:
            raise Refused(404, f"Run {run_id} not found.")
        frame = self.frames.pop(0) if len(self.frames) > 1 else self.frames[0]
        run = self.runs[run_id]
        if frame.state in ("SUCCEEDED", "FAILED", "CANCELED"):
            run["finished_at"] = "2026-11-21T10:01:30Z"
        run["state"] = frame.state
        return {**run, "run_details": {"task_details": task_details(frame)}}

    def terminate_run(self, _: Request, run_id: str) -> dict[str, Any]:
        if run_id not in self.runs:
            raise Refused(404, f"Run {run_id} not found.")
        self.frames = [Frame("CANCELING"), Frame("CANCELED")]
        return {}

    def list_recurring_runs(self, request: Request) -> dict[str, Any]:
        return page_of("recurringRuns", list(self.recurring_runs.values()), request)

    def create_recurring_run(self, request: Request) -> dict[str, Any]:
        recurring = self._order(body(request, "V2beta1RecurringRun"))
        cron = recurring["trigger"]["cron_schedule"]["cron"]
        # KFP takes five fields too, but for other ones than crontab does.
        if len(cron.split()) != 6 and not cron.startswith("@"):
            raise Refused(400, f"Schedule cron is not a supported format: {cron}")
        if not 1 <= int(recurring.get("max_concurrency", 0)) <= 10:
            raise Refused(400, "Max concurrency of a recurring run must be 1 to 10.")
        if recurring.get("mode") != "ENABLE":
            raise Refused(400, "a schedule that never runs")
        return keep(self.recurring_runs, "recurring_run_id", recurring)

    def log(self, _: Request, _run: str, pod: str) -> Answer:
        if pod not in self.logs:
            raise Refused(500, f"Failed to find the log of {pod}")
        return Answer(self.logs[pod], 200, "text/plain")

    def _versions_of(self, pipeline: str) -> list[dict[str, Any]]:
        return [each for each in self.versions.values() if each["pipeline_id"] == pipeline]

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        """What runs and recurring runs have alike, checked as KFP does."""
        reference = order["pipeline_version_reference"]
        if reference["pipeline_version_id"] not in self.versions:
            raise Refused(404, "the pipeline version is not there")
        if order["experiment_id"] not in self.experiments:
            raise Refused(404, "the experiment is not there")
        parameters = order.get("runtime_config", {}).get("parameters", {})
        if len(json.dumps(parameters)) > LARGEST_PARAMETERS:
            raise Refused(400, "The input parameter length exceed maximum size of 10000.")
        spec = self.versions[reference["pipeline_version_id"]]["pipeline_spec"]
        root = spec.get("pipeline_spec", spec)["root"]
        unknown = set(parameters) - set(root.get("inputDefinitions", {}).get("parameters", {}))
        if unknown:
            raise Refused(400, f"parameters {sorted(unknown)} are not in the pipeline")
        return order

    def _namespace(self, namespace: str, verb: str, what: str) -> str:
        if not self.multi_user and namespace:
            raise Refused(400, "In single-user mode, the namespace must be empty.")
        if self.multi_user and namespace not in self.allowed:
            raise Refused(
                403,
                "Failed to authorize with API: PermissionDenied: User 'ann@example.org' is not "
                f"authorized with reason:  (request: &ResourceAttributes{{Namespace:{namespace},"
                f"Verb:{verb},Group:pipelines.kubeflow.org,Version:v2beta1,Resource:{what},"
                "Subresource:,Name:,}): Unauthorized access",
            )
        return namespace

    # -- who may come in

    def _entrance(self, request: Request) -> Answer | None:
        """What somebody who is not signed in sees; None for who is, and where anybody may."""
        if self.guard is None:
            return None
        if self.guard == "token":
            signed = request.headers.get("Authorization") == f"Bearer {self.token}"
            return None if signed else Answer("Jwt is missing", 401, "text/plain")
        if COOKIE.partition("=")[2] in request.cookies.values():
            return None
        if self.guard == "cookie":
            return Answer("RBAC: access denied", 403, "text/plain")
        return self._dex(request)

    def _dex(self, request: Request) -> Answer:
        """The way of oauth2-proxy and Dex, as a browser goes it."""
        match request.path:
            case "/oauth2/start":
                csrf = ("Set-Cookie", "_oauth2_proxy_csrf=c1; Path=/oauth2/callback; HttpOnly")
                return redirect("/dex/auth?client_id=kubeflow&state=s1", csrf)
            case "/dex/auth":
                links = "<a href='/dex/auth/ldap'>LDAP</a><a href='/dex/auth/local'>E-mail</a>"
                return Answer(f"<html>{links}</html>", 200, "text/html")
            case "/dex/auth/local":
                return redirect("/dex/auth/local/login?back=&state=xyz")
            case "/dex/auth/local/login":
                return self._login(request)
            case "/dex/approval":
                if request.form.get("req") != "r1" or request.form.get("approval") != "approve":
                    return Answer(APPROVAL, 200, "text/html")
                return redirect("/oauth2/callback?code=k1&state=s1")
            case "/oauth2/callback" if request.cookies.get("_oauth2_proxy_csrf") == "c1":
                return redirect("/", ("Set-Cookie", f"{COOKIE}; Path=/; HttpOnly"))
        return redirect(f"/oauth2/start?rd={request.path}")

    def _login(self, request: Request) -> Answer:
        if request.method == "GET":
            return Answer(LOGIN, 200, "text/html")
        form = request.form
        known = self.users.get(form.get("login", "")) == form.get("password")
        if not known or request.query.get("state") != "xyz":
            return Answer(LOGIN, 200, "text/html")
        where = "/dex/approval?req=r1&hmac=h1" if self.approval else "/oauth2/callback?code=k1"
        return redirect(where)


LOGIN = """<html><form method="post" action="/dex/auth/local/login?back=&amp;state=xyz">
<input name="login" type="text"/><input name="password" type="password"/></form></html>"""
APPROVAL = """<html>
<form method="post"><input type="hidden" name="req" value="r1"/>
<input type="hidden" name="approval" value="approve"></form>
<form method="post"><input type="hidden" name="req" value="r1"/>
<input type="hidden" name="approval" value="rejected"></form></html>"""


def redirect(place: str, *headers: tuple[str, str]) -> Answer:
    return Answer("", 302, "text/html", (("Location", place), *headers))


def body(request: Request, model: str) -> dict[str, Any]:
    """The request's body, once KFP's model of it has taken it whole."""
    given = json.loads(request.body)
    refuse_unknown(given, model)
    kfp_server_api.ApiClient().deserialize(SimpleNamespace(data=request.body), model)
    return given


def refuse_unknown(given: Any, model: str) -> None:
    """A field that the model has not would be dropped by the real server without a word."""
    if model.startswith("list[") and isinstance(given, list):
        for each in given:
            refuse_unknown(each, model[5:-1])
    kind = getattr(kfp_server_api, model, None)
    if kind is None or not kind.openapi_types or not isinstance(given, dict):
        return
    types = {kind.attribute_map[name]: each for name, each in kind.openapi_types.items()}
    if unknown := set(given) - set(types):
        raise Refused(400, f"{model} has no {sorted(unknown)}")
    for name, value in given.items():
        refuse_unknown(value, types[name])


def keep(things: dict[str, dict[str, Any]], key: str, content: dict[str, Any]) -> dict[str, Any]:
    identifier = f"{key.removesuffix('_id').replace('_', '-')}-{len(things) + 1}"
    things[identifier] = {**content, key: identifier}
    return things[identifier]


def page_of(name: str, entries: list[dict[str, Any]], request: Request) -> dict[str, Any]:
    """One page of a list, filtered by equality as KFP does; tokens are places."""
    for predicate in json.loads(request.query.get("filter", "{}")).get("predicates", ()):
        assert predicate["operation"] == "EQUALS"
        wanted, key = predicate["string_value"], predicate["key"]
        entries = [entry for entry in entries if entry[key] == wanted]
    start, size = int(request.query.get("page_token", 0)), int(request.query["page_size"])
    page = {name: entries[start : start + size], "total_size": len(entries)}
    if start + size < len(entries):
        page["next_page_token"] = str(start + size)
    return page


def uploaded_file(request: Request) -> bytes:
    """The file of a multipart form."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    part = next(message.iter_parts())
    assert part.get_param("name", header="content-disposition") == "uploadfile"
    return bytes(part.get_payload(decode=True))


def task_details(frame: Frame) -> list[dict[str, Any]]:
    """What KFP tells of a run: the nodes of the workflow, executors all under one name."""
    details = [detail("root", "RUNNING", "n0"), detail("root-driver", "SUCCEEDED", "n1")]
    for name, state in frame.steps.items():
        key = frame.keys.get(name) or re.sub(r"[^a-z0-9]+", "-", f"step_{name}")
        number = pod_number(name)
        details.append(detail(f"{key}-driver", "SUCCEEDED", f"wine-x7-{number}1"))
        below = {"child_tasks": [{"pod_name": f"wine-x7-{number}"}]}
        error = {"error": {"message": frame.errors[name]}} if name in frame.errors else {}
        details.append(detail(key, state, f"wine-x7-{number}2", **below, **error))
        own = "SKIPPED" if name in frame.cached else state
        pod = f"wine-x7-system-container-impl-{number}"
        details.append(detail("executor", own, pod, pod_name=pod))
    return details


def detail(name: str, state: str, identifier: str, **more: Any) -> dict[str, Any]:
    ended = state in ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
    return {
        "display_name": name,
        "task_id": f"task-of-{identifier}",
        "state": state,
        "create_time": CREATED,
        "start_time": CREATED,
        # What Go writes for a time that has not come.
        "end_time": "2026-11-21T10:00:07Z" if ended else "1970-01-01T00:00:00Z",
        **more,
    }


def pod_number(step: str) -> str:
    """The end of the names of a step's pod and node."""
    return str(crc32(step.encode()))


def pod_name(step: str) -> str:
    return f"wine-x7-system-container-impl-{pod_number(step)}"


@contextmanager
def serving(fake: FakeKfp, certificate: Path | None = None) -> Iterator[FakeKfp]:
    """The server, reachable at ``fake.url``; by TLS with a ``certificate`` and key in PEM."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ssl.SSLError, ConnectionError):  # a client that does not trust us hangs up
                self.close_connection = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, parts.path, query, self.headers, content)
            answer = fake.answer(request)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.data)))
            for name, value in answer.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.data)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
            scheme = "https"
        fake.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
