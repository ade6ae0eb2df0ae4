"""What identifies a prompt: the code that writes it, not what it happens to write for some samples.

Formatting, comments, docstrings, annotations and the words of a form (`title`, `description`) do not
count; every branch, function and constant that `task.prompt` uses does, wherever in the project it stands.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.task import Task

_FOREIGN = frozenset({*sys.stdlib_module_names, "pydantic", "pydantic_core"})
_SHOWN = ("title", "description")
_SKIPPED = ("ctx", "type_comment", "type_params", "kind", "annotation", "returns", "lineno")
"""Fields of a syntax tree that change no value, or that not every version of Python has."""
_FIELD = "Name(id='Field')"
_PLAIN = (str, bytes, int, float, bool, type(None), tuple, frozenset, list, dict, set)


def identity(task: Task[Any]) -> str:
    """16 hex digits over the prompt's code, the closed labels, and what is cut or copied."""
    answer = task.answer
    labels = getattr(answer, "labels", ())
    roots = [task.prompt, *_methods(task.input)]
    if passage := getattr(answer, "passage", None):
        roots.append(passage)
    found = [type(answer).__name__, task.shorten, repr(tuple(labels))]
    return hashlib.sha256("\0".join([*found, *_texts(roots)]).encode()).hexdigest()[:16]


def _methods(kind: type) -> list[Any]:
    """The functions that an input's own class defines: properties and validators change a prompt."""
    found = [_function(value) for value in vars(kind).values()]
    return [one for one in found if one and one.__module__ == kind.__module__]


def _function(value: Any) -> FunctionType | None:
    for name in ("wrapped", "fget", "func", "__func__", "__wrapped__"):
        inner = getattr(value, name, None)
        if callable(inner):
            return _function(inner)
    return value if isinstance(value, FunctionType) and "<" not in value.__qualname__ else None


def _texts(roots: Iterable[Any]) -> Iterator[str]:
    """One text for each piece of code that is reached, in the order it is reached."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        text, uses = _described(_piece(waiting.pop(0)))
        if text not in seen:
            seen.add(text)
            yield text
            waiting += uses


def _piece(value: Any) -> Any:
    """The piece of code that a function or class was made by; other values as they are."""
    value = inspect.unwrap(value) if callable(value) else value
    if isinstance(value, FunctionType):
        node = _node(value)
        return _Piece(node, value.__module__, value.__globals__, value) if node else value
    return (_top_level(value) or value) if inspect.isclass(value) else value


def _described(value: Any) -> tuple[str, list[Any]]:
    """A value as text, and the values of the project that it uses."""
    if isinstance(value, _Piece):
        return _dump(value.node), value.uses()
    if isinstance(value, FunctionType):  # written at a prompt: the bytecode has to do
        return _bytecode(value.__code__), _cells(value)
    if isinstance(value, functools.partial):
        return repr((value.args, sorted(value.keywords.items()))), [value.func]
    if isinstance(value, _PLAIN):
        return repr(value), []
    if inspect.isclass(value) or inspect.isbuiltin(value) or not callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__), []
    return type(value).__qualname__, [type(value).__call__]


def _cells(function: FunctionType | None) -> list[Any]:
    """What a function remembers of where it was made: the values of its closure and its defaults."""
    if function is None:
        return []
    remembered = [cell.cell_contents for cell in function.__closure__ or ()]
    return [*remembered, *(function.__defaults__ or ())]


def _bytecode(code: CodeType) -> str:
    parts = [_bytecode(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return repr((code.co_code, code.co_names, parts))


class _Piece:
    """A piece of a module's syntax, with what its names mean."""

    def __init__(
        self, node: ast.AST, module: str, names: dict[str, Any], made: FunctionType | None = None
    ) -> None:
        self.node, self.module, self.names, self.made = node, module, names, made

    def uses(self) -> list[Any]:
        """What its names stand for: pieces of the same module, or values of others of the project."""
        found: list[Any] = _cells(self.made)
        tree = _tree(self.module)
        for name in dict.fromkeys(_names(self.node)):
            node = _defined(tree, name)
            if node is not None and node is not self.node:
                found.append(_Piece(node, self.module, self.names))
            elif node is None and name in self.names and _ours(self.names[name]):
                found.append(self.names[name])
        return found


def _ours(value: Any) -> bool:
    """Not of the standard library or of pydantic: these are told by their name in the code."""
    if isinstance(value, ModuleType):
        return False
    module = getattr(value, "__module__", None) or ""
    return isinstance(value, _PLAIN) or module.partition(".")[0] not in _FOREIGN


def _names(node: ast.AST) -> Iterator[str]:
    for field, value in _fields(node):
        if isinstance(node, ast.Name) and field == "id":
            yield value
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _names(child)


def _defined(tree: ast.Module, name: str) -> ast.stmt | None:
    """The last statement at the top of the module that gives this name its value."""
    for node in reversed(tree.body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node
    return None


def _top_level(value: type) -> _Piece | None:
    module = sys.modules.get(value.__module__)
    node = _defined(_tree(value.__module__), value.__name__)
    return _Piece(node, value.__module__, vars(module)) if node and module else None


def _node(function: Any) -> ast.AST | None:
    """Where the function is written."""
    code, kinds = function.__code__, (ast.FunctionDef, ast.Lambda)
    found = [
        node
        for node in ast.walk(_tree(function.__module__))
        if isinstance(node, kinds)
        and code.co_firstlineno in (node.lineno, *(d.lineno for d in _decorators(node)))
        and getattr(node, "name", "<lambda>") == code.co_name
    ]
    if len(found) < 2:
        return found[0] if found else None
    columns = [place[2] for place in code.co_positions() if place[2] is not None and place[2] > 0]
    inside = [node for node in found if all(node.col_offset <= c for c in columns)]
    return max(inside, key=lambda node: node.col_offset, default=None)


def _decorators(node: ast.AST) -> list[ast.expr]:
    return getattr(node, "decorator_list", [])


def _tree(module: str) -> ast.Module:
    """The syntax of a module; an empty one where its source cannot be read."""
    try:
        path = Path(inspect.getsourcefile(sys.modules[module]) or "")
        return _parsed(path, path.stat().st_mtime_ns)
    except (KeyError, TypeError, OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


@functools.lru_cache(maxsize=64)
def _parsed(path: Path, changed: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _dump(node: Any) -> str:
    """As `ast.dump`, but equal in every version of Python."""
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = [f"{name}={_dump(value)}" for name, value in _fields(node)]
    return f"{type(node).__name__}({','.join(parts)})"


def _fields(node: ast.AST) -> Iterator[tuple[str, Any]]:
    for name, value in ast.iter_fields(node):
        kept = value
        if name == "body" and isinstance(value, list):
            kept = [one for one in value if not _is_docstring(one)]
        elif name == "keywords" and _dump(getattr(node, "func", None)) == _FIELD:
            kept = [one for one in value if one.arg not in _SHOWN]
        if name not in _SKIPPED and kept not in (None, []):
            yield name, kept


def _is_docstring(node: ast.AST) -> bool:
    """A text that stands alone: a docstring, or one below a constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
