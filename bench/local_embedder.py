"""What a vector of the local embedder costs, beside the one of the package `wordllama`.

Each line is one kind of process: the local embedder compiled, the same without a compiler, and
`wordllama`, which was the local embedder before, if it is installed::

    python -m bench.local_embedder
    python -m bench.local_embedder --json

`first_ms` is from nothing to the first vector, in a process that has imported isomem; `resident_mb`
is what the process has grown by then, and `grown_mb` after a thousand texts. `ten_words_us` is a
text of ten words. `megabyte_ms` is a text of a million characters, `held_ms` how late a thread that
wants to run every millisecond is at most during that text: what an event loop would wait.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = 5
TEN_WORDS = "The quick brown fox jumps over a lazy dog today"
LONG = "Where the mountains are, there is snow in winter. "
KINDS = {
    "local": {"provider": "local"},
    "local, without a compiler": {"provider": "local", "kernel": "interpreted"},
    "wordllama": {"provider": "wordllama"},
}


def main() -> None:
    """Measures, and prints a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(**options.one)))
        return
    kinds = [kind for kind in KINDS if kind != "wordllama" or find_spec("wordllama")]
    figures = {kind: medians(KINDS[kind]) for kind in kinds}
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    names = [*figures["local"]]
    print("".join(f"{title:>14}" for title in ("", *names)))
    for kind, row in figures.items():
        print(kind, "".join(f"{row[name]:>14.3g}" for name in names), sep="\n  ")
    if "wordllama" in figures:
        shares = [figures["local"][name] / figures["wordllama"][name] for name in names]
        print("local / wordllama", "".join(f"{share:>14.2g}" for share in shares), sep="\n  ")


def medians(given: dict[str, str]) -> dict[str, float]:
    """The figures of one kind: the median of some processes."""
    runs = [_process(given) for _ in range(PROCESSES)]
    return {name: median(run[name] for run in runs) for name in runs[0]}


def _process(given: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.local_embedder", "--one", json.dumps(given)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measured(provider: str, kernel: str = "compiled") -> dict[str, float]:
    """The figures of this process, which has not imported isomem yet."""
    sys.path.insert(0, str(Path(__file__).parent / "workers"))
    import kit

    if kernel == "interpreted":
        kit.interpret_the_kernel()
    import isomem

    assert isomem.Memory
    before, begun = kit.memory_mb("VmRSS"), time.perf_counter()
    from isomem.providers.registry import create_embedder

    embedder: Any = create_embedder(provider)
    embedder.embed(TEN_WORDS)
    first_ms, first = 1000 * (time.perf_counter() - begun), kit.memory_mb("VmRSS")
    for text in _thousand():
        embedder.embed(text)
    grown = kit.memory_mb("VmRSS")
    return {
        "first_ms": first_ms,
        "resident_mb": first - before,
        "grown_mb": grown - before,
        "ten_words_us": 1e6 * min(_seconds(embedder, TEN_WORDS, 50) for _ in range(200)),
        **_long(embedder),
    }


def _thousand() -> list[str]:
    words = [word for page in sorted(ROOT.glob("docs/*.md")) for word in page.read_text().split()]
    return [" ".join(words[start : start + 10]) for start in range(0, 10_000, 10)]


def _seconds(embedder: Any, text: str, times: int) -> float:
    begun = time.perf_counter()
    for _ in range(times):
        embedder.embed(text)
    return (time.perf_counter() - begun) / times


def _long(embedder: Any) -> dict[str, float]:
    """How long a long text takes, and how late another thread is meanwhile."""
    text = (LONG * (1_000_000 // len(LONG) + 1))[:1_000_000]
    alone_ms = 1000 * _seconds(embedder, text, 1)
    worker = threading.Thread(target=embedder.embed, args=[text])
    worker.start()
    late = 0.0
    while worker.is_alive():
        begun = time.perf_counter()
        time.sleep(0.001)
        late = max(late, time.perf_counter() - begun - 0.001)
    return {"megabyte_ms": alone_ms, "held_ms": 1000 * late}


if __name__ == "__main__":
    main()
