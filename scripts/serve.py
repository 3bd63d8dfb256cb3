"""Tries the service out: starts it on files of its own, remembers, recalls, and waits for Ctrl-C.

`python -m scripts.serve [--once] [FLAG ...]` gives the flags to `isomem serve`. With `--once` it
stops the service at once.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from typing import IO, Any

import httpx

USER, SAID, ASKED = "ana", "Ana moved to Lisbon in May", "Where does Ana live?"


def main(words: list[str]) -> int:
    """0 if the service remembered, recalled, and ended well."""
    once = "--once" in words
    flags = [word for word in words if word != "--once"]
    with tempfile.TemporaryDirectory(prefix="isomem-serve-") as folder:
        path = ["--path", f"{folder}/memory.db"]
        command = [sys.executable, "-m", "isomem", "serve", "--json", *path, *flags]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
            try:
                assert service.stdout is not None
                show(read(service.stdout))
                if not once:
                    service.wait()
            except KeyboardInterrupt:
                pass  # The service has got the signal, too.
            finally:
                if service.poll() is None:
                    service.send_signal(signal.SIGTERM)
        print("The service has stopped; its files are removed.")
    return service.returncode


def read(output: IO[str]) -> dict[str, Any]:
    """What the service says at its start: one JSON document.

    Raises:
        SystemExit: it has ended instead.
    """
    lines: list[str] = []
    for line in output:
        lines.append(line)
        if line == "}\n":
            found: dict[str, Any] = json.loads("".join(lines))
            return found
    raise SystemExit("The service did not start.")


def show(started: dict[str, Any]) -> None:
    """Remembers and recalls through the service, and says how it is reached."""
    key = {"X-API-Key": started["key"] or ""}
    with httpx.Client(base_url=started["url"], headers=key, timeout=60) as http:
        said = {"messages": SAID, "user_id": USER, "infer": False}
        http.post("/api/add", json=said).raise_for_status()
        asked = {"query": ASKED, "filters": {"user_id": USER}}
        found = http.post("/api/search", json=asked).raise_for_status().json()["results"]
    print(f"Remembered: {SAID}")
    print(f"Asked: {ASKED}\nRecalled: {found[0]['memory']} (score {found[0]['score']:.3f})\n")
    print(f"The page: {started['url']}/\nThe key:  {started['key']}\n")
    print("Ctrl-C stops it. `isomem serve` keeps its files; docs/serve.md says more.", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
