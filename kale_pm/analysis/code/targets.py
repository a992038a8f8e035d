"""The targets of assignments: names, parts of objects, several at once."""

from __future__ import annotations

import ast

from kale_pm.analysis.code.calls import Calls
from kale_pm.analysis.code.catalogue import (
    GLOBAL_STATE_TARGETS,
    UNSERIALISABLE_CALLS,
    is_familiar,
)
from kale_pm.analysis.code.class_state import is_class
from kale_pm.analysis.code.expressions import is_namespace
from kale_pm.analysis.code.sharing import Shared, callees, code_of, shared


class Targets(Calls):
    """Follows what is assigned to."""

    def assign(self, target: ast.expr, value: ast.expr | None, *, part: bool = False) -> None:
        """``target`` gets the value of ``value``, or a ``part`` of it."""
        self.at(target)
        match target:
            case ast.Name(id=name):
                self.bind(name, value)
                if not part:
                    self._unserialisable(name, value)
            case ast.Starred(value=inner):
                self.assign(inner, value, part=part)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                self._unpack(targets, value)
            case ast.Attribute() | ast.Subscript():
                self._assign_part(target, value)

    def _unpack(self, targets: list[ast.expr], value: ast.expr | None) -> None:
        parts: list[ast.expr | None] = [value] * len(targets)
        if (
            isinstance(value, (ast.Tuple, ast.List))
            and len(value.elts) == len(targets)
            and not any(isinstance(e, ast.Starred) for e in (*value.elts, *targets))
        ):
            parts = [*value.elts]
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        # In a, b = b, a both sides mean other objects: what shared with the old, may with the new.
        crossed = names & shared(value, self.known).keys()
        mates = [mate for name in crossed for mate in self.known.groups.of(name)]
        for target, part in zip(targets, parts, strict=True):
            self.assign(target, part, part=part is value)
        if crossed:
            self.link_all([*sorted(names), *mates])
        if value is not None and parts[-1] is value and self._makes_partners(value):
            self.link_all(sorted(names))

    def _makes_partners(self, value: ast.expr) -> bool:
        """Do the results of a call know each other, such as a figure and its axes?"""
        if not isinstance(value, ast.Call) or callees(value.func, self.known):
            return False
        library = self.library_name(value.func)
        return library is None or library.startswith("matplotlib.") or not is_familiar(library)

    def _assign_part(self, target: ast.Attribute | ast.Subscript, value: ast.expr | None) -> None:
        if isinstance(target, ast.Subscript) and is_namespace(target.value):
            name = self.namespace_key(target)
            if name is not None:
                self.bind(name, value)
            else:
                self.anything("globals()[...] = ...")
            return
        self.change_part(target)
        self.hold(shared(target.value, self.known), [value] if value else [])

    def change_part(self, target: ast.Attribute | ast.Subscript) -> None:
        """An attribute or an item is set or deleted: its owner changes in place."""
        self.evaluate(target.value)
        if isinstance(target, ast.Subscript):
            self.evaluate(target.slice)
        library = self.library_name(target) or self.library_name(target.value)
        if library is None or is_class(target.value):
            self.mutate(self._owners(target.value))
        elif any(library == t or library.startswith(t + ".") for t in GLOBAL_STATE_TARGETS):
            self.notice("global-state", library)
        elif isinstance(target, ast.Attribute) or not isinstance(target.value, ast.Call):
            self.notice("stays-behind", f"the change of {library}")
            if library.startswith("builtins."):
                self.known.open_ended = True  # now a name that every cell here may use

    def _owners(self, node: ast.expr) -> Shared:
        """What changes with a part of ``node``; of ``type(x)`` it is the class of x."""
        if is_class(node):
            return {code.name: True for code in code_of(node, self.known) if code.is_class}
        return shared(node, self.known)

    def note_closed(self, target: ast.expr, manager: ast.expr) -> None:
        """After ``with open(...) as file`` the file is closed, however it was opened."""
        library = self.library_name(manager.func) if isinstance(manager, ast.Call) else None
        if isinstance(target, ast.Name) and library in UNSERIALISABLE_CALLS:
            self.known.unserialisable[target.id] = (UNSERIALISABLE_CALLS[library], self.place)

    def _unserialisable(self, name: str, value: ast.expr | None) -> None:
        if isinstance(value, ast.GeneratorExp):
            self.known.unserialisable[name] = ("a generator", self.place)
        elif isinstance(value, ast.Call):
            codes = callees(value.func, self.known)
            if codes and all(code.is_generator for code in codes):
                self.known.unserialisable[name] = ("a generator", self.place)
            library = self.library_name(value.func)
            if library in UNSERIALISABLE_CALLS and not _opens_for_reading(library, value):
                self.known.unserialisable[name] = (UNSERIALISABLE_CALLS[library], self.place)


def _opens_for_reading(library: str, node: ast.Call) -> bool:
    """Can the file be opened again in another process, at the same place?"""
    modes = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
    return library.rpartition(".")[2] == "open" and all(
        isinstance(mode, ast.Constant) and str(mode.value).strip("bt") == "r" for mode in modes
    )
