"""What pyproject.toml cannot say: the prompt step, and the extension that may be absent."""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# setuptools runs this file without its folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from build_support.kernel import extensions
from build_support.prompts import PromptStepError, prepare


class BuildWithPrompts(build_py):
    """`build_py`, which wheels and editable installs both run, with the prompt step before it."""

    def run(self) -> None:
        """Fetches what is missing, then builds."""
        try:
            prepare()
        except PromptStepError as error:
            # An exit, because an editable build turns every Exception into a mere warning.
            raise SystemExit(f"\nisomem: prompt step: {error}\n") from None
        super().run()


setup(cmdclass={"build_py": BuildWithPrompts}, ext_modules=extensions())
