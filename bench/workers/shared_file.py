"""Several processes that write one file at the same time."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `processes`, `memories` in all; `writer` is for our own children."""
    count = given["processes"]
    share = given["memories"] // count
    writers = [start_writer(number, share) for number in range(count)]
    for writer in writers:  # all have the file open before the first one writes
        pipe(writer.stdout).readline()
    for writer in writers:
        pipe(writer.stdin).write("go\n")
        pipe(writer.stdin).flush()
    spans = [tuple(map(float, writer.communicate()[0].split())) for writer in writers]
    took = max(end for _, end in spans) - min(begin for begin, _ in spans)
    memory = kit.build(given, kit.Constant())
    found = (
        memory.get_all(filters={"user_id": f"user{at}"}, top_k=2 * share) for at in range(count)
    )
    return {
        "adds_per_s": share * count / took,
        "lost": share * count - sum(len(reply["results"]) for reply in found),
    }


def start_writer(number: int, share: int) -> subprocess.Popen[str]:
    """This script again, as one that writes."""
    words = [*sys.argv, f"writer={number}", f"share={share}"]
    return subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def pipe(end: IO[str] | None) -> IO[str]:
    """`end`, which is there: `start_writer` asks for both."""
    assert end is not None
    return end


def write(given: dict[str, Any]) -> None:
    """Adds when told to; prints when it began and ended, on the clock that all processes share."""
    memory = kit.build(given, kit.Constant())
    user = f"user{given['writer']}"
    print("ready", flush=True)
    sys.stdin.readline()
    begun = perf_counter()
    for at in range(given["share"]):
        memory.add(kit.item(at), user_id=user, infer=False)
    print(begun, perf_counter())
    memory.close()


if __name__ == "__main__":
    if "writer" in (chosen := kit.options()):
        write(chosen)
    else:
        kit.finish(main(chosen))
