"""The proxy: OpenAI's own SDK talks to a real service, which talks to a scripted model server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from isomem.contract.manner import MEMORY_ANSWER_PROMPT
