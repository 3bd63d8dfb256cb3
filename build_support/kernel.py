"""The optional extensions: `isomem.kernel` and `isomem.pieces`, compiled if there is a compiler."""

from __future__ import annotations

import sys

from setuptools import Extension

MODULES = ("kernel", "pieces")

# Faster by up to a third, and equal to what Python computes: no product and sum become one, and
# the same bytes may be read as floats and as integers.
_UNIX_FLAGS = ["-O3", "-g0", "-ffp-contract=off", "-fno-strict-aliasing"]


def extensions() -> list[Extension]:
    """What to compile: nothing without Cython. A failure to compile is not an error."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    flags = [] if sys.platform == "win32" else _UNIX_FLAGS
    modules = [
        Extension(
            f"isomem.{name}", [f"src/isomem/{name}.py"], extra_compile_args=flags, language="c"
        )
        for name in MODULES
    ]
    made: list[Extension] = cythonize(  # type: ignore[no-untyped-call,unused-ignore]
        modules,
        build_dir="build/cython",
        language_level=3,
        quiet=True,
        compiler_directives={
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "annotation_typing": False,  # the types are in the .pxd files
            "binding": False,
        },
    )
    for extension in made:
        extension.optional = True  # `cythonize` does not carry it over.
    return made
