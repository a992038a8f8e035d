"""The values that a module's variables have where its pipeline is called, for the steps to have.

Nobody can tell from the source what has changed a variable since its statement ran.  So what a
literal can say is a literal in the steps, unless the statement says just that, or the value can
only have been bound there.  What no literal can say is made again, by its statements and by all
that may have changed it; where that is not enough, it is an error.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType

from kale_pm.errors import UsageError
from kale_pm.sdk.source.changes import changed_by, global_names, reads_command_line
from kale_pm.sdk.source.evidence import Evidence, union
from kale_pm.sdk.source.functions import shown
from kale_pm.sdk.source.given import given_by
from kale_pm.sdk.source.imports import imported
from kale_pm.sdk.source.literals import binding, is_fixed, literal, looks_secret, modules_of
from kale_pm.sdk.source.modules import ModuleSource
from kale_pm.sdk.source.statements import Statement

_HINT = (
    "make it a parameter of the pipeline, or build it in a function that the step calls; it may "
    "also be changed at the top of the script, outside of any if"
)


def statements_for(
    module: ModuleSource, wanted: Collection[str], is_pipeline: Callable[[object], bool]
) -> list[Statement]:
    """What binds ``wanted`` in a step as it is bound here now.

    Raises UsageError where nothing that a step may run gives the value that there is.
    """
    return _Choice(Evidence(module, is_pipeline), frozenset(wanted)).statements()


class _Choice:
    """Which statements a step gets, found in rounds.

    ``literals`` are the variables that have one, in the place of their statements or, where these
    draw random numbers, behind them.  ``running`` are those made by their statements.
    """

    def __init__(self, evidence: Evidence, wanted: frozenset[str]) -> None:
        self.evidence = evidence
        self.module = evidence.module
        self.wanted = wanted
        self.literals: dict[str, str] = {}
        self.running: set[str] = set()
        self.chosen: list[Statement] = []

    def statements(self) -> list[Statement]:
        while self._goes_on():
            pass
        self._refuse_command_lines()
        names = self._names()
        late = self._changed_elsewhere(self.running & names)
        literals = {name: text for name, text in self.literals.items() if name in names}
        found = [*self._with(literals), *self._behind_all(late)]
        return [*_imports_for({**literals, **late}.values(), found), *found]

    def _names(self) -> frozenset[str]:
        return self.wanted.union(*(each.reads for each in self.chosen))

    def _goes_on(self) -> bool:
        """One more round; False if it has brought nothing new.

        The rounds end, since a variable that has to run never gets a literal again.
        """
        random = {name for name in self.literals if self.evidence.is_random(name)}
        self.chosen = self.module.needed(
            self.wanted, self.evidence.is_pipeline, self.literals.keys() - random, self.running
        )
        names = self._names()
        found, to_run = self._settled(names - self.literals.keys())
        # What still runs in a step changes it there: then the value before that is needed.
        changing = [
            each
            for each in self.chosen
            if not each.binds & names or each.binds & names - found.keys()
        ]
        to_run |= self.literals.keys() & self._changed_by(changing)
        to_run |= found.keys() & self.running
        if found.keys() <= to_run <= self.running:
            to_run = self._read_before_a_change()
            if not to_run:
                return False
        literals = {**self.literals, **found}
        self.literals = {name: text for name, text in literals.items() if name not in to_run}
        self.running |= to_run
        return True

    def _changed_by(self, statements: Iterable[Statement]) -> frozenset[str]:
        return union(changed_by(each.nodes, self.module.effects) for each in statements)

    # -- what becomes of each variable ------------------------------------------------------

    def _settled(self, names: Collection[str]) -> tuple[dict[str, str], set[str]]:
        """The names that become literals, and those of which all changes have to go along."""
        given = given_by(self.chosen, self.module)
        left_out = union(
            self.evidence.changes(each, self.module.effects)
            for each in self.module.statements
            if each not in self.chosen
        )
        found: dict[str, str] = {}
        to_run: set[str] = set()
        for name in sorted(self.module.names.keys() & names):
            own, value = self.evidence.own(name), self.module.names[name]
            if any(each.is_import for each in own):
                if self._is_rebound_import(name, own):
                    found[name] = self._literal_of_import(name, own)
                continue
            text = self._literal(name)
            if text is None:
                to_run |= {name} if own else set()
            elif _is_alias(own, value, self.module.names):
                continue
            elif name in given and literal(given[name], self.module) == text:
                continue  # the statements say it as it is
            elif (
                not own
                or name in given
                or self._may_differ(name, own)
                or (name in left_out and name in self.evidence.rebound)
                or self.evidence.is_momentary(name)
                or self._depends(own)
            ):
                found[name] = text
        return found, to_run

    def _may_differ(self, name: str, own: Iterable[Statement]) -> bool:
        """Whether the statements might give something else, as far as nobody can tell.

        Whoever holds a list may have changed it; and what was read from data needs the data.
        """
        if self.evidence.is_of_the_machine(name):
            return False
        names = self.module.names
        if not is_fixed(names[name]):
            return True
        if any(
            each.is_compound or changed_by(each.nodes, self.module.sure_effects) for each in own
        ):
            return False  # what it does has to be done
        return any(
            not isinstance(names[read], (ModuleType, FunctionType, BuiltinFunctionType, type))
            and self._literal(read) is None
            for each in own
            for read in self.evidence.read_at_once(each) & names.keys()
        )

    def _literal(self, name: str) -> str | None:
        """The value of a variable as a literal; None where none says it, or where none should.

        What the environment holds may be a secret, and is that of the step's machine; so may what
        a file holds.  What comes with ``import *`` is bound by no statement that could be seen.
        """
        own = self.evidence.own(name)
        is_bound = bool(own) or name in self.evidence.rebound
        if any(each.defines(name) for each in own) or self.evidence.is_of_the_environment(name):
            return None
        if not is_bound and (name.startswith("__") or any(map(_has_star, self.module.statements))):
            return None
        text = literal(self.module.names[name], self.module)
        if text is not None and looks_secret(name, self.module.names[name]):
            return text if given_by(own, self.module).keys() & {name} else None
        return text

    def _is_rebound_import(self, name: str, own: Iterable[Statement]) -> bool:
        value = self.module.names[name]
        return name in self.evidence.rebound and not any(
            imported(each, name, self.module) is value for each in own
        )

    def _literal_of_import(self, name: str, own: Sequence[Statement]) -> str:
        text = literal(self.module.names[name], self.module)
        if text is None:
            raise UsageError(
                f"{shown(self.module.file)}:{own[0].line}: '{name}', which a step uses, is "
                f"imported here, and bound later to something of which {self._why(name)}",
                hint=_HINT,
            )
        return text

    def _depends(self, own: Sequence[Statement]) -> bool:
        """Whether a kernel would give something else: of the command line, or by a literal."""
        literals = self.literals.keys()
        return (
            any(self.evidence.reached(each.reads) & literals for each in own)
            or reads_command_line(self.evidence.carried_out(own))
            or bool(self._changed_by(own) & literals)
        )

    def _read_before_a_change(self) -> set[str]:
        """The literals that were something else when a statement that runs in a step read them."""
        statements = self.module.statements
        places = {each: place for place, each in enumerate(statements)}
        changing = [
            self.evidence.changes(each, self.module.likely_effects) | each.binds
            for each in statements
        ]
        found = set()
        for each in self.chosen:
            if each.is_import or not each.binds.isdisjoint(self.literals):
                continue
            if any(
                _is_alias([each], self.module.names.get(n), self.module.names) for n in each.binds
            ):
                continue
            place = places[each]
            for name in self.evidence.read_at_once(each) & self.literals.keys():
                if (
                    name in self.evidence.bound_at_any_time
                    or any(name in names for names in changing[place + 1 :])
                    or (sum(name in n for n in changing[:place]) == 1 and not self._is_said(name))
                ):
                    found.add(name)
        return found

    def _is_said(self, name: str) -> bool:
        """Whether the statements of a variable give its value, as far as one can tell."""
        given = given_by(self.evidence.own(name), self.module)
        text = literal(self.module.names[name], self.module)
        return name not in given or literal(given[name], self.module) == text

    # -- what steps do not run ---------------------------------------------------------------

    def _changed_elsewhere(self, running: Collection[str]) -> dict[str, str]:
        """The literals of what its statements alone do not give, because others have changed it.

        Raises UsageError for what only the script itself changes, and no literal can say.
        """
        imports = union(each.binds for each in self.chosen if each.is_import)
        imports -= {name for name in imports if _is_of_python(self.module.names.get(name))}
        found: dict[str, str] = {}
        for name in sorted(running):
            text = self._literal(name)
            if text is not None and is_fixed(self.module.names[name]):
                found |= {} if self._is_said(name) else {name: text}
        for each in self.module.statements:
            if each in self.chosen:
                continue
            sure = self.evidence.changes(each, self.module.sure_effects)
            likely = self.evidence.changes(each, self.module.likely_effects)
            for name in sorted((sure | likely).intersection({*running, *imports})):
                text = None if name in imports else self._literal(name)
                if text is not None:
                    found[name] = text
                elif name in sure:
                    raise UsageError(
                        f"{shown(self.module.file)}:{each.line}: '{name}', which a step uses, is "
                        f"changed here, where only the script itself runs, and {self._why(name)}",
                        hint=_HINT,
                    )
        return found

    def _why(self, name: str) -> str:
        value = self.module.names.get(name)
        if self.evidence.is_of_the_environment(name):
            return "what the environment holds is written into no notebook"
        kind = type(value).__name__
        if literal(value, self.module) is not None:
            if looks_secret(name, value):
                return "what looks like a secret is written into no notebook"
            return "the module that it comes from does not have that in a step"
        if type(value) in (str, bytes, int):
            return f"what it is now is too long for a literal (of type {kind})"
        return f"no literal can say what it is now (of type {kind})"

    def _refuse_command_lines(self) -> None:
        """Raise UsageError for what a step would read from a command line that it has not."""
        for each in self.chosen:
            parses = reads_command_line(self.evidence.carried_out([each]), parsing_only=True)
            if not parses or any(each.defines(bound) for bound in each.binds):
                continue
            for name in sorted(each.binds & self._names() & self.running):
                raise UsageError(
                    f"{shown(self.module.file)}:{each.line}: '{name}', which a step uses, comes "
                    f"from the command line, which steps do not have, and {self._why(name)}",
                    hint=_HINT,
                )

    # -- where the literals stand ------------------------------------------------------------

    def _with(self, literals: Mapping[str, str]) -> list[Statement]:
        """The chosen statements, with literals where the variables were bound."""
        added: dict[Statement | None, list[Statement]] = {}
        placed: dict[str, Statement | None] = {}
        for name, text in literals.items():
            places: list[Statement | None] = [
                each
                for each in self.module.statements
                if name in each.binds or name in global_names(each.nodes)
            ]
            kept = [each for each in places if each in self.chosen and name in each.binds]
            place = [*kept[-1:], *places, None][0]
            line = place.line if place is not None else 1
            same = self._same_object(name, [each for each in placed if placed[each] is place])
            placed[name] = place
            added.setdefault(place, []).append(_made(same or binding(name, text), line))
        found = added.get(None, [])
        for each in self.module.statements:
            found += [each] if each in self.chosen else []
            found += added.get(each, [])
        return found

    def _same_object(self, name: str, others: Iterable[str]) -> str:
        """``b = a`` where both are one list, as after ``a = b = []``; empty if there is no such."""
        value = self.module.names[name]
        same = [each for each in others if self.module.names[each] is value]
        return f"{name} = {same[0]}" if same and not is_fixed(value) else ""

    def _behind_all(self, literals: Mapping[str, str]) -> list[Statement]:
        line = self.module.statements[-1].line if self.module.statements else 1
        return [_made(self._rebinding(name, text), line) for name, text in literals.items()]

    def _rebinding(self, name: str, text: str) -> str:
        """A value that is known only behind all: in the same list, which others may hold."""
        kind = type(self.module.names[name])
        if kind is list:
            return binding(f"{name}[:]", text)
        if kind in (dict, set) and text != "set()":
            return f"{name}.clear()\n{binding(f'{name} |', text)}"
        return binding(name, text)


def _is_alias(own: Sequence[Statement], value: object, names: Mapping[str, object]) -> bool:
    """Whether ``b = a`` still holds: a change of the one is to be seen in the other."""
    match own:
        case [Statement(nodes=(ast.Assign(targets=[ast.Name()], value=ast.Name(id=other)),))]:
            return names.get(other) is value and not is_fixed(value)
    return False


def _has_star(statement: Statement) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in statement.nodes
    )


def _is_of_python(thing: object) -> bool:
    """Whether it is a module of Python's own, as sys and os, which the script may well set."""
    return isinstance(thing, ModuleType) and thing.__name__ in sys.stdlib_module_names


def _imports_for(texts: Iterable[str], statements: Sequence[Statement]) -> list[Statement]:
    """The imports that literals need, where they do not stand above them already."""
    needed = sorted(union(map(modules_of, texts)))
    return [
        _made(f"import {name[1:]} as {name}" if name.startswith("_") else f"import {name}", 1)
        for name in needed
        if not any(name in each.binds for each in _above(f"{name}.", statements))
    ]


def _above(text: str, statements: Sequence[Statement]) -> Sequence[Statement]:
    places = (place for place, each in enumerate(statements) if text in each.text)
    return statements[: next(places, len(statements))]


def _made(text: str, line: int) -> Statement:
    return Statement(text, line, tuple(ast.parse(text).body))
