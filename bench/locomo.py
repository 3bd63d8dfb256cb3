"""How often the right memory is found: evidence recall on LoCoMo.

LoCoMo (Maharana et al., ACL 2024; CC BY-NC 4.0) is not part of this repository. DATA_DIR has one
JSON file per conversation::

    {"speaker_a": ..., "speaker_b": ...,
     "sessions": [{"session", "date_time", "turns": [{"speaker", "dia_id", "text"}],
                   "facts": {speaker: [[fact, dia_id or list of them], ...]}}],
     "qa": [{"question", "evidence": [dia_id, ...], "category"}]}

Memories are the session's facts, stored by one inferred add with the facts as the reply of the
model; or the turns as they are; or one document for each session. Embeddings are real. A question
counts as found at k when a turn of its evidence is the source of one of the first k memories. Run
it with the package installed, or with PYTHONPATH=src::

    python bench/locomo.py DATA_DIR
    python bench/locomo.py DATA_DIR --memories turns --ranking fused
    python bench/locomo.py DATA_DIR --nlp none --no-keywords
    python bench/locomo.py DATA_DIR --embedder wordllama
    python bench/locomo.py DATA_DIR --cli          # through `isomem ingest` and `isomem search`
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

KS = (1, 5, 10)
CATEGORIES = {
    1: "multi-hop",
    2: "temporal",
    3: "open-domain",
    4: "single-hop",
    5: "adversarial",
}

MEMORIES = ("facts", "turns", "documents")

Json = dict[str, Any]
Sources = dict[str, set[str]]


class Conversation:
    """One conversation of the data set, as isomem is given it.

    Attributes:
        name: of the file; also the user whose memory it becomes.
        lines: the messages, as `isomem ingest` reads them.
        replies: one per session; None if messages are stored as they are.
        sources: for each memory, the turns it comes from.
        questions: those of the file that name their evidence.
        sessions: how many the conversation has.

    Args:
        path: of the file.
        memories: one of `MEMORIES`.
    """

    def __init__(self, path: Path, memories: str) -> None:
        data = json.loads(path.read_text("utf-8"))
        self.name = path.stem
        # A question without evidence in the conversation cannot be found by it.
        self.questions: list[Json] = [each for each in data["qa"] if turn_ids(each["evidence"])]
        self.lines: list[Json] = []
        self.replies: list[Json] | None = [] if memories == "facts" else None
        self.sources: Sources = defaultdict(set)
        self.sessions = len(data["sessions"])
        for session in data["sessions"]:
            lines = list(_messages(session, data["speaker_a"]))
            turns = [{turn["dia_id"]} for turn in session["turns"]]
            if memories == "documents":
                lines, turns = [_document(lines)], [set().union(*turns)]
            self.lines += lines
            if self.replies is not None:
                self.replies.append({"memory": self._facts(session, data["speaker_a"])})
                continue
            for line, ids in zip(lines, turns, strict=True):
                self.sources[line["content"]] |= ids

    def _facts(self, session: Json, user: str) -> list[Json]:
        facts: list[Json] = []
        for speaker, pairs in session["facts"].items():
            for text, turns in pairs:
                self.sources[text] |= turn_ids(turns)
                role = "user" if speaker == user else "assistant"
                facts.append({"id": str(len(facts)), "text": text, "attributed_to": role})
        return facts


def _messages(session: Json, user: str) -> Iterator[Json]:
    moment = datetime.strptime(session["date_time"], "%I:%M %p on %d %B, %Y")
    stamp = moment.replace(tzinfo=timezone.utc).isoformat()
    for turn in session["turns"]:
        yield {
            "role": "user" if turn["speaker"] == user else "assistant",
            "content": f"{turn['speaker']}: {turn['text']}",
            "session": str(session["session"]),
            "timestamp": stamp,
        }


def _document(lines: list[Json]) -> Json:
    """All messages of a session as one."""
    return {**lines[0], "role": "user", "content": "\n".join(line["content"] for line in lines)}


def turn_ids(value: Any) -> set[str]:
    """The ids in a text or a list of texts; a few entries hold several in one text."""
    return set(re.findall(r"D\d+:\d+", json.dumps(value)))


# --- Measuring -------------------------------------------------------------------------------


class Tally:
    """Questions asked and found, by category."""

    def __init__(self) -> None:
        self.asked: dict[int, int] = defaultdict(int)
        self.found: dict[tuple[int, int], int] = defaultdict(int)

    def count(self, question: Json, hits: list[Json], sources: Sources) -> None:
        """Counts one question by the first of its results that comes from its evidence."""
        category, evidence = question["category"], turn_ids(question["evidence"])
        self.asked[category] += 1
        ranks = [
            rank for rank, hit in enumerate(hits, 1) if sources.get(hit["memory"], set()) & evidence
        ]
        for k in KS:
            self.found[category, k] += bool(ranks) and ranks[0] <= k

    def row(self, *categories: int) -> Json:
        """Number of questions and recall at each k, over some categories."""
        asked = sum(self.asked[category] for category in categories)
        found = {k: sum(self.found[category, k] for category in categories) for k in KS}
        recall = {f"recall@{k}": found[k] / asked if asked else 0.0 for k in KS}
        return {"questions": asked, **recall}

    def report(self) -> dict[str, Json]:
        """All rows: each category, 1 to 4, all."""
        rows = {f"{number} {name}": self.row(number) for number, name in CATEGORIES.items()}
        return {**rows, "1-4": self.row(1, 2, 3, 4), "all": self.row(*CATEGORIES)}


def measure(conversations: list[Conversation], config: Json) -> Json:
    """Recall through the library, all conversations in one file."""
    from isomem import Memory
    from isomem.ingest import Ingest, read_conversation

    tally, add_s, search_s, memories = Tally(), 0.0, [], 0
    with Memory.from_config(config) as memory:
        for each in conversations:
            lines = read_conversation(map(json.dumps, each.lines))
            ids = {"user_id": each.name}
            infer = each.replies is not None
            run = Ingest(
                memory, lines, ids=ids, chunk=len(lines), replies=each.replies, infer=infer
            )
            started = time.perf_counter()
            memories += [step.memories for step in run][-1]
            add_s += time.perf_counter() - started
        for each in conversations:
            for question in each.questions:
                started = time.perf_counter()
                filters = {"user_id": each.name}
                found = memory.search(question["question"], top_k=max(KS), filters=filters)
                search_s.append(time.perf_counter() - started)
                tally.count(question, found["results"], each.sources)
    sessions = sum(each.sessions for each in conversations)
    timing = {
        "stored": memories,
        "sessions": sessions,
        "add_ms_a_session": 1000 * add_s / sessions,
        "search_ms_median": 1000 * median(search_s),
        "search_ms_p95": 1000 * sorted(search_s)[int(0.95 * len(search_s))],
    }
    return {"recall": tally.report(), **timing}


# --- Through the command line ----------------------------------------------------------------


def measure_cli(conversations: list[Conversation], config: Json, folder: Path) -> Json:
    """Every conversation through `isomem ingest`, every question through `isomem search`."""
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    started, memories = time.perf_counter(), 0
    for each in conversations:
        _write_lines(folder / f"{each.name}.jsonl", each.lines)
        words = ["ingest", f"{each.name}.jsonl", "--user", each.name]
        words += ["--chunk", str(len(each.lines))]
        if each.replies is None:
            words.append("--raw")
        else:
            _write_lines(folder / f"{each.name}.replies.jsonl", each.replies)
            words += ["--replies", f"{each.name}.replies.jsonl"]
        memories += _isomem(folder, words)["memories"]
        again = _isomem(folder, words)
        if again["messages_before"] != again["messages"] or again["memories"]:
            raise SystemExit(f"{each.name} was taken in twice: {again}")
    ingest_s = time.perf_counter() - started
    tally, asked = Tally(), 0
    started = time.perf_counter()
    for each in conversations:
        for question in each.questions:
            words = ["search", "--user", each.name, "--top-k", "10", "--", question["question"]]
            tally.count(question, _isomem(folder, words)["results"], each.sources)
            asked += 1
    search_ms = 1000 * (time.perf_counter() - started) / asked
    return {
        "recall": tally.report(),
        "stored": memories,
        "ingest_s_all_twice": ingest_s,
        "search_ms_a_process": search_ms,
    }


def _write_lines(path: Path, values: list[Json]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")


def _isomem(folder: Path, words: list[str]) -> Json:
    command = [sys.executable, "-m", "isomem", "--json", "--config", "config.json", *words]
    path = os.pathsep.join(str(Path(part).resolve()) for part in sys.path if part)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"isomem {' '.join(words)}: {done.stderr}")
    result: Json = json.loads(done.stdout)
    return result


# --- The program -----------------------------------------------------------------------------


def main() -> None:
    """Measures, and prints a table or JSON."""
    options = _options()
    paths = sorted(options.data.glob("*.json"))
    conversations = [Conversation(path, options.memories) for path in paths]
    if not conversations:
        raise SystemExit(f"{options.data} holds no conversations")
    with tempfile.TemporaryDirectory() as folder:
        config = {
            "embedder": {"provider": options.embedder},
            "ranking": options.ranking,
            "nlp": {
                "provider": options.nlp,
                "config": {"model": options.spacy_model} if options.spacy_model else {},
            },
            "vector_store": {
                "provider": "embedded",
                "config": {
                    "path": str(Path(folder, "memory.db")),
                    "keyword_search": options.keywords,
                },
            },
        }
        if options.cli:
            result = measure_cli(conversations, config, Path(folder))
        else:
            result = measure(conversations, config)
    result |= {name: getattr(options, name) for name in ("memories", "ranking", "nlp", "keywords")}
    print(json.dumps(result, indent=2) if options.json else "\n".join(_table(result)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Evidence recall on LoCoMo.")
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    parser.add_argument("--memories", choices=MEMORIES, default="facts")
    parser.add_argument("--ranking", choices=("contract", "fused"), default="contract")
    parser.add_argument("--embedder", metavar="NAME", default="local")
    parser.add_argument("--nlp", choices=("builtin", "spacy", "none"), default="builtin")
    parser.add_argument("--spacy-model", metavar="NAME", help="of --nlp spacy")
    parser.add_argument("--no-keywords", dest="keywords", action="store_false")
    parser.add_argument("--cli", action="store_true", help="through the command line")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _table(result: Json) -> Iterator[str]:
    heads = "".join(f"{f'recall@{k}':>11}" for k in KS)
    yield f"{'category':<14}{'questions':>10}{heads}"
    for name, row in result["recall"].items():
        cells = "".join(f"{row[f'recall@{k}']:>11.3f}" for k in KS)
        yield f"{name:<14}{row['questions']:>10}{cells}"
    yield ""
    for key, value in result.items():
        if key != "recall":
            yield f"{key}: {value:.2f}" if isinstance(value, float) else f"{key}: {value}"


if __name__ == "__main__":
    main()
