"""Which `core`, `apps` and so on are ours: those beside this package, whatever lies in the working folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

NAMES = ("apps", "benchmarks", "commands", "core", "demos", "finetune", "serving")
_HERE = Path(__file__).resolve().parents[1]


class _Beside(MetaPathFinder):
    """Looks for these names in one folder, before anything else is asked."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, [str(_HERE)]) if fullname in NAMES else None


_beside = _Beside()


def come_first() -> None:
    """From here on the names are ours; `ImportError` where another package has taken one."""
    if _beside in sys.meta_path:
        return
    for name in NAMES:
        taken = getattr(sys.modules.get(name), "__file__", None)
        if taken and _HERE not in Path(taken).resolve().parents:
            raise ImportError(
                f"Quintet needs its own package {name!r}, but {taken} was imported under that name. "
                "Rename yours, or use Quintet in a process of its own."
            )
    sys.meta_path.insert(0, _beside)


def leave_working_folder() -> None:
    """`python -m` puts the working folder first, whose files would stand in for libraries."""
    here = str(Path.cwd())
    if sys.path and sys.path[0] in ("", here) and here != str(_HERE):
        del sys.path[0]
