"""The modules that stand in for mem0's: found by name, and filled when a name is asked for."""

from __future__ import annotations

import os
import sys

from isomem.compat.surface import SURFACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from importlib.metadata import DistributionFinder
    from types import ModuleType
    from typing import Any

    from isomem.compat.distribution import Mem0Distribution

MARK = "__isomem__"
"""An attribute of every module that stands in for one of mem0's."""

UPSTREAM_LOGGER = "mem0.memory.main"
"""The logger of most of mem0's lines."""

_FILLED_AT_ONCE = ("mem0.exceptions",)
"""Modules that programs walk through by `vars`, and that cost nothing to fill."""

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_ROOT = "mem0"
_DISTRIBUTION = "mem0ai"


class StandIn:
    """Finds, makes and fills the modules of `SURFACE`, and answers for the version of mem0ai.

    Attributes:
        keeps_upstream: whether what is not in `SURFACE` is taken from an installed mem0ai.
    """

    keeps_upstream = False

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module of that name, if it is one of mem0's."""
        if name in SURFACE:
            return _spec(name, self)
        if self.keeps_upstream and _is_mem0s(name):
            return _real_spec(name)
        return None

    def create_module(self, _spec: ModuleSpec) -> None:
        """None: an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Makes the names of a module ones that are looked up when they are asked for."""
        name = module.__name__
        names = SURFACE[name]
        doc = f"Stands in for {name}; made by isomem.compat."
        vars(module).update({MARK: True, "__doc__": doc})
        vars(module)["__all__"] = [each for each in names if not each.startswith("_")]
        vars(module)["__getattr__"] = lambda asked: self._find(module, asked)
        vars(module)["__dir__"] = lambda: sorted({*vars(module), *names})
        if name in _FILLED_AT_ONCE:
            for each in names:
                self._find(module, each)

    def _find(self, module: ModuleType, asked: str) -> Any:
        name = module.__name__
        target = SURFACE[name].get(asked)
        child = f"{name}.{asked}"
        if target is not None:
            vars(module)[asked] = value = _resolved(target, name)
            return value
        if child in SURFACE:
            __import__(child)
            return sys.modules[child]
        if self.keeps_upstream and not asked.startswith("__"):
            return getattr(real_module(name), asked)
        raise AttributeError(f"{name}.{asked} is not part of isomem")

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterator[Mem0Distribution]:
        """What says that mem0ai is installed, to those who ask for it by name."""
        name = getattr(context, "name", None)
        if isinstance(name, str) and name.lower().replace("_", "-") == _DISTRIBUTION:
            from isomem.compat.distribution import Mem0Distribution

            yield Mem0Distribution()


STAND_IN = StandIn()


def _new_spec(name: str, loader: Any, **facts: Any) -> ModuleSpec:
    """A spec, by a class that is at hand: importlib is not imported by every program."""
    made: ModuleSpec = type(sys.__spec__)(name, loader, **facts)
    return made


def _spec(name: str, loader: StandIn) -> ModuleSpec:
    is_package = any(other.startswith(f"{name}.") for other in SURFACE)
    origin = os.path.join(_FOLDER, "__init__.py" if name == _ROOT else "surface.py")
    spec = _new_spec(name, loader, origin=origin, is_package=is_package)
    spec.has_location = True
    return spec


def _resolved(target: str, module: str) -> object:
    """What a row of the table stands for: "logger", or "module:attribute"."""
    if target == "logger":
        import logging

        return logging.getLogger(module)
    where, _, attribute = target.partition(":")
    __import__(where)
    return getattr(sys.modules[where], attribute)


def forget() -> None:
    """Removes every module that stands in for one of mem0's."""
    for name in [name for name in sys.modules if _is_mem0s(name)]:
        if hasattr(sys.modules[name], MARK):
            del sys.modules[name]


def _is_mem0s(name: str) -> bool:
    return name.partition(".")[0] == _ROOT


# --- The real ones ---------------------------------------------------------------------------

_real: dict[str, ModuleType] = {}


def real_module(name: str) -> ModuleType:
    """A module of the installed mem0ai, which is not the one that stands in for it.

    It is imported with the stand-ins out of the way, so that its own imports find the real ones.
    Another thread must not import mem0 at the same time.

    Raises:
        DependencyError: mem0ai is not installed.
        ImportError: it has no such module, or the module needs another package.
    """
    found = _real.get(name)
    return found if found is not None else _imported(name)


def _imported(name: str) -> ModuleType:
    ours = {key: sys.modules.pop(key) for key in list(sys.modules) if _is_mem0s(key)}
    finders = [*sys.meta_path]
    sys.meta_path[:] = [finder for finder in finders if finder is not STAND_IN]
    sys.modules.update(_real)
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        if error.name == _ROOT:
            raise _not_installed() from None
        raise
    finally:
        _real.update({key: sys.modules.pop(key) for key in list(sys.modules) if _is_mem0s(key)})
        sys.modules.update(ours)
        sys.meta_path[:] = finders
    return _real[name]


def _not_installed() -> Exception:
    from isomem.errors import DependencyError

    return DependencyError(
        "mem0ai is not installed, and this needs it", suggestion="pip install mem0ai==2.0.4"
    )


class _Found:
    """Hands out a real module under its own name."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return real_module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: it has been run."""


def _real_spec(name: str) -> ModuleSpec | None:
    try:
        module = real_module(name)
    except ModuleNotFoundError:
        return None
    is_package = hasattr(module, "__path__")
    return _new_spec(name, _Found(), origin=module.__file__, is_package=is_package)
