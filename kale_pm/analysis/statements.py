"""Statements: control flow, definitions, imports.

After each statement the state says which names are bound for certain.  Where ways split
(if, try, loops, match) every way is followed from the same state, and they are joined after.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Any

from kale_pm.analysis.effects import Code, Knowledge
from kale_pm.analysis.expressions import Expressions
from kale_pm.analysis.namespace import State, join
from kale_pm.analysis.sharing import code_of, shared
from kale_pm.analysis.stars import public_names

_ENDS = frozenset({"sys.exit", "builtins.exit", "builtins.quit", "os._exit"})
_SUPPRESSING = frozenset({"suppress", "raises", "assertRaises"})


class Flow(Expressions):
    """Follows statements; see :func:`kale_pm.analysis.scan.scan` for its use."""

    def __init__(self, known: Knowledge, *, in_function: bool = False) -> None:
        super().__init__(known, in_function=in_function)
        self.returned: set[str] = set()
        self.returned_code: frozenset[Code] = frozenset()
        self._breaks: list[list[State]] = []
        self._globals: set[str] = set()

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
                self.known.link(names[0], other, True)

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
            plain = self.known.plain.get(name, False)
            if not plain:
                # x += [1] changes the very object that other names may hold.
                self.mutate({name: True})
            mates = dict(self.known.aliases.get(name, {}))
            code = self.known.code.get(name, frozenset()) | code_of(node.value, self.known)
            self.bind(name, ast.BinOp(ast.Name(name, ast.Load()), node.op, node.value))
            for mate, strong in mates.items():
                self.known.link(name, mate, strong)
            self.learn_code(name, code)
        else:
            self._assign_part(node.target, node.value)

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
                name_or_none = self._namespace_key(target)
                if name_or_none is not None:
                    self.delete(name_or_none)
                else:
                    self.change_part(target)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for inner in targets:
                    self._delete(inner)

    def on_global(self, node: ast.Global) -> None:
        self._globals.update(node.names)

    def on_nonlocal(self, node: ast.Nonlocal) -> None:
        """The names belong to an enclosing function: nothing to follow."""

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
        self.evaluate(node.test)
        self._ways([node.body, node.orelse])

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
        for inner in ast.walk(target):
            if isinstance(inner, ast.Name):
                self.bind(inner.id)
            elif isinstance(inner, (ast.Attribute, ast.Subscript)):
                self.change_part(inner)
        self.assign_element(target, container)
        for name in (n.id for n in ast.walk(target) if isinstance(n, ast.Name)):
            # range() and enumerate() hand out numbers; the rest hands out elements.
            if self.library_name(container) == "builtins.range" or isinstance(container, ast.Call):
                continue
            self.known.plain[name] = False

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
            self.state = join(broken) if broken else State(dead=True, maybe=once.maybe)
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

    def on_break(self, node: ast.Break) -> None:
        if self._breaks:
            self._breaks[-1].append(self.state.fork())
        self.state.dead = True

    def on_continue(self, node: ast.Continue) -> None:
        self.state.dead = True

    def on_raise(self, node: ast.Raise) -> None:
        self.evaluate(node.exc)
        self.evaluate(node.cause)
        self.state.dead = True

    def on_return(self, node: ast.Return) -> None:
        self.evaluate(node.value)
        self._give_back(node.value)
        self.state.dead = True

    def on_expr(self, node: ast.Expr) -> None:
        self.evaluate(node.value)
        if isinstance(node.value, (ast.Yield, ast.YieldFrom)):
            self._give_back(node.value.value)
        if isinstance(node.value, ast.Call) and self.library_name(node.value.func) in _ENDS:
            self.state.dead = True

    def _give_back(self, value: ast.expr | None) -> None:
        self.returned |= shared(value, self.known).keys()
        if isinstance(value, ast.Name):
            self.returned.add(value.id)
        self.returned_code |= code_of(value, self.known) | self.lambdas(value)

    def on_try(self, node: ast.Try) -> None:
        before = self.state.fork()
        if not node.handlers:
            self.follow(node.body)
            self.follow(node.finalbody)
            return
        with self.maybe():
            self.follow(node.body)
            failed = State(before.bound, self.state.maybe | before.maybe, set(), before.dead)
            failed.gone = before.gone & self.state.gone
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
                        self.effects.may_delete.add(handler.name)
                else:
                    self.follow(handler.body)
                ways.append(self.state)
        self.state = join(ways)
        self.follow(node.finalbody)

    on_trystar = on_try

    def on_with(self, node: ast.With | ast.AsyncWith) -> None:
        suppressing = False
        for item in node.items:
            self.evaluate(item.context_expr)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, item.context_expr)
            call = item.context_expr
            if isinstance(call, ast.Call):
                name = call.func.attr if isinstance(call.func, ast.Attribute) else None
                name = call.func.id if isinstance(call.func, ast.Name) else name
                suppressing |= name in _SUPPRESSING
        if suppressing:
            self._ways([node.body, []])
        else:
            self.follow(node.body)

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
            self.effects.imports.setdefault(top, self.place)
            name = alias.asname or top
            self.bind(name)
            self.known.modules[name] = alias.name if alias.asname else top

    def on_importfrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if not node.level:
            self.effects.imports.setdefault(module.split(".")[0], self.place)
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
            self.known.unknown_star = True
            return
        for name in names:
            self.bind(name)
            self.known.modules[name] = f"{module}.{name}"

    # -- functions and classes ------------------------------------------------------------

    def on_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.evaluate_all(node.decorator_list)
        arguments = node.args
        self.evaluate_all([*arguments.defaults, *arguments.kw_defaults])
        if not self.known.future_annotations and sys.version_info < (3, 14):
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            every += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
            self.evaluate_all(a.annotation for a in every)
            self.evaluate(node.returns)
        code = self.summarise(node.name, node, arguments, node.body)
        self.bind(node.name)
        self.learn_code(node.name, frozenset({code}) | self._decorated(node))

    on_asyncfunctiondef = on_functiondef

    def _decorated(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Any:
        found: frozenset[Code] = frozenset()
        for decorator in node.decorator_list:
            for code in code_of(decorator, self.known):
                found |= {code} | code.returns_code
        return found

    def summarise(
        self,
        name: str,
        node: ast.AST,
        arguments: ast.arguments,
        body: list[Any],
        *,
        method: bool = False,
    ) -> Code:
        """The deferred effects of a function whose body is ``body``."""
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        parameters = [a.arg for a in every]
        parameters += [a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None]
        declared: set[str] = set()
        local = set(parameters) | _assigned(body, declared)
        local -= declared
        inner = Flow(self.known.copy(), in_function=True)
        inner.cell, inner.line = self.cell, getattr(node, "lineno", self.line)
        place = inner.place
        with inner.scope(local):
            inner.scopes[:0] = self.scopes
            inner.follow(body)
            del inner.scopes[: len(self.scopes)]
        effects, state = inner.effects, inner.state
        outside = lambda names: frozenset(n for n in names if n not in local)  # noqa: E731
        self.effects.strings |= effects.strings
        for module, where in effects.imports.items():
            self.effects.imports.setdefault(module, where)
        return Code(
            name=name,
            place=place,
            parameters=tuple(parameters[1:] if method else parameters),
            receiver=parameters[0] if method and parameters else None,
            reads=frozenset(effects.reads),
            binds=frozenset(state.bound) if not state.dead else frozenset(),
            may_bind=frozenset(state.maybe),
            mutates=outside(effects.mutates),
            touches=outside(effects.touches),
            mutates_parameters=frozenset(effects.mutates) & frozenset(parameters),
            touches_parameters=frozenset(effects.touches) & frozenset(parameters),
            returns=frozenset(n for n in inner.returned if n in parameters or n not in local),
            returns_code=inner.returned_code,
            dynamic=effects.dynamic,
            notices=tuple(n for n in effects.notices if n.code != "dynamic-access"),
        )

    def on_classdef(self, node: ast.ClassDef) -> None:
        self.evaluate_all(node.decorator_list)
        self.evaluate_all(node.bases)
        self.evaluate_all(keyword.value for keyword in node.keywords)
        methods: dict[str, Code] = {}
        for base in node.bases:
            for code in code_of(base, self.known):
                methods.update(code.methods)
        names: set[str] = set()
        self.scopes.append(names)
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._method(statement, methods, names)
            else:
                # Names become the class's own in the order of the body.
                names |= _assigned([statement], set()) - _read_first(statement)
                self.follow([statement])
                names |= _assigned([statement], set())
        self.scopes.pop()
        self.bind(node.name)
        whole = self._class_code(node, methods)
        self.learn_code(node.name, frozenset({whole}) | self._decorated(node))

    def _method(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef,
        methods: dict[str, Code],
        names: set[str],
    ) -> None:
        self.evaluate_all(node.decorator_list)
        self.evaluate_all([*node.args.defaults, *node.args.kw_defaults])
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
        scopes, self.scopes = self.scopes, [s for s in self.scopes if s is not names]
        methods[node.name] = self.summarise(
            node.name, node, node.args, node.body, method=not static
        )
        self.scopes = scopes
        names.add(node.name)

    def _class_code(self, node: ast.ClassDef, methods: dict[str, Code]) -> Code:
        """Using an instance may use any of its methods; making one calls ``__init__``."""
        every = list(methods.values())
        init = methods.get("__init__")
        union = lambda part: frozenset().union(*(getattr(m, part) for m in every))  # noqa: E731
        parameters = init.parameters if init else ()
        return Code(
            name=node.name,
            place=self.place,
            parameters=parameters,
            reads=union("reads"),
            binds=init.binds if init else frozenset(),
            may_bind=union("binds") | union("may_bind"),
            mutates=union("mutates"),
            touches=union("touches"),
            mutates_parameters=init.mutates_parameters & set(parameters) if init else frozenset(),
            touches_parameters=init.touches_parameters & set(parameters) if init else frozenset(),
            returns=frozenset(parameters),
            methods=methods,
            is_class=True,
            dynamic=any(m.dynamic for m in every),
            notices=tuple(notice for m in every for notice in m.notices),
        )


def _assigned(body: Sequence[ast.AST], declared: set[str]) -> set[str]:
    """Names that the statements bind in their own scope; ``global`` ones go to ``declared``."""
    found: set[str] = set()
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
                pending += [*node.decorator_list, *node.args.defaults]
                continue
            case ast.ClassDef(name=name):
                found.add(name)
                continue
            case ast.Lambda():
                continue
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                declared.update(names)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.Import() | ast.ImportFrom():
                found.update((a.asname or a.name.split(".")[0]) for a in node.names)
            case ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.MatchMapping(rest=str(name)):
                found.add(name)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                pending += [n for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
                continue
        pending.extend(ast.iter_child_nodes(node))
    return found


def _read_first(statement: ast.stmt) -> set[str]:
    """Names that a class-level statement reads: ``x = x`` reads the x outside."""
    value = getattr(statement, "value", None)
    if value is None:
        return set()
    return {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
