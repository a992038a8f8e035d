"""Statements: assignments, control flow, imports.

After each statement the state says which names are bound for certain.  Where ways split
(if, try, loops, match) every way is followed from the same state, and they are joined after.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from kale_pm.analysis.code.bindings import State, join
from kale_pm.analysis.code.catalogue import RESTORING_CONTEXTS
from kale_pm.analysis.code.definitions import Definitions, assigned
from kale_pm.analysis.code.expressions import looked_up
from kale_pm.analysis.code.knowledge import Knowledge
from kale_pm.analysis.code.sharing import callees, code_of, names_of
from kale_pm.analysis.code.stars import public_names

_ENDS = frozenset({"sys.exit", "builtins.exit", "builtins.quit", "os._exit"})
_SUPPRESSING = frozenset({"suppress", "raises", "assertRaises"})


class Flow(Definitions):
    """Follows statements; see :func:`kale_pm.analysis.code.scan.scan` for its use."""

    def __init__(self, known: Knowledge, around: Iterable[set[str]] = ()) -> None:
        super().__init__(known, around)
        self._breaks: list[list[State]] = []

    def follow(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.at(statement)
            method = getattr(self, f"on_{type(statement).__name__.lower()}", None)
            if method is not None:
                method(statement)
            else:
                self.evaluate_all(ast.iter_child_nodes(statement))

    # -- assignments ----------------------------------------------------------------------

    def on_assign(self, node: ast.Assign) -> None:
        self.evaluate(node.value)
        for target in node.targets:
            self.assign(target, node.value)
        # a = b = []: both are one object
        names = [t.id for t in node.targets if isinstance(t, ast.Name)]
        for other in names[1:]:
            if not self.known.plain.get(other, False):
                self.known.link(names[0], other, surely=True)

    def on_annassign(self, node: ast.AnnAssign) -> None:
        local = isinstance(node.target, ast.Name) and (
            self.in_function or self.is_local(node.target.id)
        )
        if not local and not self.known.future_annotations:
            self.evaluate(node.annotation)
        if node.value is not None:
            self.evaluate(node.value)
            self.assign(node.target, node.value)
        elif not isinstance(node.target, ast.Name):
            self.evaluate(node.target)

    def on_augassign(self, node: ast.AugAssign) -> None:
        self.evaluate(node.value)
        if isinstance(node.target, ast.Name):
            name = node.target.id
            self.read(name)
            # x += [1] changes the very object that other names may hold.
            self.mutate({name: True})
            with self.maybe():
                self.bind(name, node.value)
        else:
            if isinstance(node.target, ast.Subscript) and (key := self.namespace_key(node.target)):
                self.read(key)
            self.assign(node.target, node.value)

    def on_assert(self, node: ast.Assert) -> None:
        self.evaluate(node.test)
        with self.maybe():
            self.evaluate(node.msg)

    def on_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._delete(target)

    def _delete(self, target: ast.expr) -> None:
        match target:
            case ast.Name(id=name):
                self.delete(name)
            case ast.Attribute():
                self.change_part(target)
            case ast.Subscript():
                name_or_none = self.namespace_key(target)
                if name_or_none is not None:
                    self.delete(name_or_none)
                else:
                    self.change_part(target)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for inner in targets:
                    self._delete(inner)

    def on_nonlocal(self, node: ast.Nonlocal) -> None:
        """The variables of the function around belong to this function as well: it changes."""
        self.effects.mutates.update(dict.fromkeys(node.names, self.place))

    # -- the ways of control flow ---------------------------------------------------------

    def _ways(self, bodies: Sequence[Sequence[ast.stmt]]) -> None:
        """Exactly one of the bodies runs."""
        before, after = self.state, []
        with self.maybe():
            for body in bodies:
                self.state = before.fork()
                self.follow(body)
                after.append(self.state)
        self.state = join(after)

    def on_if(self, node: ast.If) -> None:
        # A loop, since a recursion would end at some hundred arms of elif.
        arms = [node]
        while len(arms[-1].orelse) == 1 and isinstance(arms[-1].orelse[0], ast.If):
            arms.append(arms[-1].orelse[0])
        self.evaluate(node.test)
        after = []
        with self.maybe():
            for arm in arms:
                if arm is not node:
                    self.at(arm)
                    self.evaluate(arm.test)
                here = self.state
                self.state = here.fork()
                with self.guarded(_guarded_by_test(arm.test)):
                    self.follow(arm.body)
                after.append(self.state)
                self.state = here
            self.follow(arms[-1].orelse)
        self.state = join([*after, self.state])

    def on_while(self, node: ast.While) -> None:
        self.evaluate(node.test)
        forever = isinstance(node.test, ast.Constant) and bool(node.test.value)
        self._loop(node.body, node.orelse, forever)

    def on_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.evaluate(node.iter)
        before = self.state.fork()
        with self.maybe():
            self._assign_loop(node.target, node.iter)
        loop_state, self.state = self.state, before
        self._loop(node.body, node.orelse, False, first=loop_state)

    on_asyncfor = on_for

    def _assign_loop(self, target: ast.expr, container: ast.expr) -> None:
        plain = [name for name in names_of(target) if self.known.plain.get(name, True)]
        for inner in ast.walk(target):
            if isinstance(inner, ast.Name):
                self.bind(inner.id)
            elif isinstance(inner, (ast.Attribute, ast.Subscript)):
                self.change_part(inner)
        self.assign_element(target, container)
        if self.library_name(container) == "builtins.range":
            self.known.plain.update(dict.fromkeys(plain, True))

    def _loop(
        self,
        body: Sequence[ast.stmt],
        otherwise: Sequence[ast.stmt],
        forever: bool,
        first: State | None = None,
    ) -> None:
        before = self.state.fork()
        self._breaks.append([])
        if first is not None:
            self.state = first
        with self.maybe():
            self.follow(body)
        once, broken = self.state, self._breaks.pop()
        if forever:
            # What an earlier turn bound may be bound, wherever the last one ended.
            self.state = join([*broken, State(maybe=once.maybe, dead=True)])
            return
        # A continue or break ends an iteration early; what it bound by then may be bound.
        self.state = before
        for state in (once, *broken):
            self.state.maybe |= state.maybe
            self.state.gone &= state.gone if not state.dead else self.state.gone
        if otherwise:
            if broken:
                self._ways([otherwise, []])
            else:
                self.follow(otherwise)

    def on_break(self, _: ast.Break) -> None:
        if self._breaks:
            self._breaks[-1].append(self.state.fork())
        self.state.dead = True

    def on_continue(self, _: ast.Continue) -> None:
        self.state.dead = True

    def on_raise(self, node: ast.Raise) -> None:
        self.evaluate(node.exc)
        self.evaluate(node.cause)
        self.state.dead = True

    def on_return(self, node: ast.Return) -> None:
        self.evaluate(node.value)
        self.give_back(node.value)
        self.exits.append(self.state.fork())
        self.state.dead = True

    def on_expr(self, node: ast.Expr) -> None:
        self.evaluate(node.value)
        if isinstance(node.value, ast.Call) and self.library_name(node.value.func) in _ENDS:
            self.state.dead = True

    def on_try(self, node: ast.Try) -> None:
        before = self.state.fork()
        if node.handlers:
            self._try(node, before)
        else:
            self.follow(node.body)
        if node.finalbody:
            self._finally(node.finalbody, before)

    def _finally(self, body: Sequence[ast.stmt], before: State) -> None:
        """It runs as well on the ways that do not reach the end, such as a return."""
        after = self.state
        self.state = State(
            set(before.bound), set(after.maybe), before.gone & after.gone, before.dead
        )
        with self.maybe():
            self.follow(body)
        self.state.dead |= after.dead
        self.state.bound |= after.bound - self.state.gone

    def _try(self, node: ast.Try, before: State) -> None:
        with self.maybe():
            # Who catches a NameError expects that a name may be missing.
            with self.guarded(_guarded_by_handlers(node.handlers)):
                self.follow(node.body)
            failed = State(
                set(before.bound),
                self.state.maybe | before.maybe,
                before.gone & self.state.gone,
                before.dead,
            )
            self.follow(node.orelse)
            ways = [self.state]
            for handler in node.handlers:
                self.state = failed.fork()
                self.evaluate(handler.type)
                if handler.name:
                    # The name is unbound again at the end of the handler.
                    with self.scope({handler.name}):
                        self.follow(handler.body)
                    if not self.is_local(handler.name):
                        self.state.bound.discard(handler.name)
                        self.effects.may_delete.setdefault(handler.name, self.place)
                else:
                    self.follow(handler.body)
                ways.append(self.state)
        self.state = join(ways)

    on_trystar = on_try

    def on_with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.evaluate(item.context_expr)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, item.context_expr)
                self.note_closed(item.optional_vars, item.context_expr)
        if any(self._may_suppress(item.context_expr) for item in node.items):
            self._ways([node.body, []])
        else:
            noticed = len(self.effects.notices)
            self.follow(node.body)
            self._restore(node.items, noticed)

    def _restore(self, items: Sequence[ast.withitem], noticed: int) -> None:
        """A context such as ``warnings.catch_warnings()`` takes back what was changed in it."""
        managers = [item.context_expr for item in items if isinstance(item.context_expr, ast.Call)]
        names = {self.library_name(manager.func) for manager in managers}
        packages = {name.partition(".")[0] for name in names & RESTORING_CONTEXTS if name}
        self.effects.notices[noticed:] = [
            notice
            for notice in self.effects.notices[noticed:]
            if notice.code != "global-state" or notice.text.partition(".")[0] not in packages
        ]

    def _may_suppress(self, manager: ast.expr) -> bool:
        """Can an error in the body of ``with`` go unnoticed, so that the body ran in part?"""
        if any("__exit__" in code.methods for code in code_of(manager, self.known)):
            return True
        if not isinstance(manager, ast.Call):
            return False
        function = manager.func
        name = function.attr if isinstance(function, ast.Attribute) else None
        name = function.id if isinstance(function, ast.Name) else name
        return name in _SUPPRESSING or bool(callees(function, self.known))

    on_asyncwith = on_with

    def on_match(self, node: ast.Match) -> None:
        self.evaluate(node.subject)
        before, after, exhaustive = self.state, [], False
        with self.maybe():
            for case in node.cases:
                self.state = before.fork()
                self._pattern(case.pattern, node.subject)
                self.evaluate(case.guard)
                self.follow(case.body)
                after.append(self.state)
                wildcard = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
                exhaustive |= wildcard and case.guard is None
        self.state = join(after if exhaustive else [*after, before])

    def _pattern(self, pattern: ast.pattern, subject: ast.expr) -> None:
        for node in ast.walk(pattern):
            if isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
                self.bind(node.name, subject)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                self.bind(node.rest, subject)
            elif isinstance(node, ast.MatchValue):
                self.evaluate(node.value)
            elif isinstance(node, ast.MatchClass):
                self.evaluate(node.cls)

    # -- imports --------------------------------------------------------------------------

    def on_import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.split(".")[0]
            if top == "__main__":
                self.anything("import __main__")
            name = alias.asname or top
            self.bind(name)
            self.known.modules[name] = alias.name if alias.asname else top

    def on_importfrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if module == "__future__" and any(a.name == "annotations" for a in node.names):
            self.known.future_annotations = True
        for alias in node.names:
            if alias.name == "*":
                self._import_star(module)
                continue
            name = alias.asname or alias.name
            self.bind(name)
            self.known.modules[name] = f"{module}.{alias.name}"

    def _import_star(self, module: str) -> None:
        names = public_names(module)
        if names is None:
            self.known.open_ended = True
            return
        for name in names:
            self.bind(name)
            self.known.modules[name] = f"{module}.{name}"


def _guarded_by_handlers(handlers: Sequence[ast.excepthandler]) -> frozenset[str] | None:
    """The names that may be missing in the body of ``try``; None means all of them.

    Who catches a NameError expects that; who catches anything does if he then sets the name.
    """
    names: set[str] = set()
    for handler in handlers:
        if not isinstance(handler, ast.ExceptHandler):
            continue
        kinds = ast.walk(handler.type) if handler.type else ()
        caught = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
        if "NameError" in caught:
            return None
        if not handler.type or caught & {"Exception", "BaseException"}:
            names |= assigned(handler.body)
    return frozenset(names)


def _guarded_by_test(test: ast.expr) -> frozenset[str]:
    """``x`` of ``if 'x' in globals()``: it is there where the body runs."""
    tests = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    return frozenset(name for each in tests if (name := looked_up(each)))
