"""Mutation check: plants small faults in a copy of isomem; the harness must catch each.

`python -m isomem_parity.mutate` prints a table: what was changed, and the first scenario that
noticed. A fault is caught when the scenarios show a difference that they do not show without it.
The text to change is quoted from the source, so a fault that no longer fits says so, and fails the
check.

`python -m isomem_parity.mutate --random N` asks the tests instead: N small faults of random lines,
and those that no test notices. It needs a checkout, for the tests. `equivalent.toml` lists changes
that change nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import isomem
from isomem_parity import survivors
from isomem_parity.script import SCENARIOS

HARNESS = Path(__file__).resolve().parent
PACKAGE = Path(isomem.__file__).resolve().parent


@dataclass(frozen=True)
class Fault:
    """One small change of the source, and the tier whose scenarios must notice it."""

    file: str
    old: str
    new: str
    tier: str = "A"


@dataclass(frozen=True)
class Verdict:
    """What became of a fault. `by` is empty when nothing noticed it."""

    fault: Fault
    by: str
    note: str = ""


FAULTS = (
    # Adding
    Fault("contract/limits.py", "EXISTING_MEMORIES = 10", "EXISTING_MEMORIES = 9"),
    Fault("contract/limits.py", "RECENT_MESSAGES = 10", "RECENT_MESSAGES = 9"),
    Fault("pipeline/add.py", 'if "agent_id" in scope and "user_id" not in scope:',
          'if "agent_id" in scope:'),
    Fault("pipeline/add.py", "prompt or ports.settings.custom_instructions",
          "ports.settings.custom_instructions or prompt"),
    Fault("pipeline/add.py", "digest not in known:", "digest:"),
    Fault("pipeline/add.py", "new.setdefault(digest, fact)", "new[digest + str(len(new))] = fact"),
    Fault("pipeline/add.py", "new.setdefault(digest, fact)", "new[digest] = fact"),
    Fault("pipeline/add.py", 'if fact.get("attributed_to"):', 'if "attributed_to" in fact:'),
    Fault("pipeline/add.py", 'ports.embed(transcript, "search")',
          'ports.embed(transcript, "add")'),
    Fault("stores/embedded.py", "        if plan.messages:\n",
          "        if plan.messages and stored:\n"),
    Fault("text/messages.py", 'message.get("name") or None', 'message.get("name")'),
    Fault("text/messages.py", "elif each.role != SILENT_ROLE:", 'elif each.role != "tool":'),
    Fault("pipeline/add.py", "data=text, text_lemmatized=lemma, hash=digest",
          "data=text, hash=digest, text_lemmatized=lemma"),
    Fault("pipeline/add.py", '"type": "json_object"', '"type": "text"'),
    Fault("pipeline/add.py", "added_event(memory_id, text, payload)\n",
          'added_event(memory_id, text, payload, "updated_at")\n'),
    Fault("contract/payload.py", 'payload["updated_at"] = created',
          'payload["updated_at"] = clock.now()'),
    # Changing and removing
    Fault("pipeline/manage.py", 'ports.embed(text, "update")', 'ports.embed(text, "add")'),
    Fault("contract/v2_0_4.py", 'payload.setdefault("role", old["role"])',
          'payload["role"] = old["role"]'),
    Fault("contract/payload.py", "utc_text(parsed) if parsed.tzinfo else moment",
          "parsed.isoformat() if parsed.tzinfo else moment"),
    Fault("contract/payload.py", '"is_deleted": 1,', '"is_deleted": 0,'),
    Fault("contract/v2_0_4.py", '"created_at": old.get("created_at"),', '"created_at": now,'),
    Fault("contract/v2_0_4.py", "        **kept,\n        **change.metadata,\n",
          "        **change.metadata,\n        **kept,\n"),
    # Results
    Fault("contract/v2_0_4.py", "ResultFields(*SCOPE_KEYS, *SPEAKER_FIELDS,",
          "ResultFields(*SPEAKER_FIELDS, *SCOPE_KEYS,"),
    Fault("contract/limits.py", '"text_lemmatized", "attributed_to",', '"text_lemmatized",'),
    Fault("contract/payload.py", "    if not fields.not_metadata.issuperset(payload):\n",
          "    if True:\n"),
    # Searching and scoring
    Fault("contract/limits.py", "LEAST_CANDIDATES = 60", "LEAST_CANDIDATES = 10", "B"),
    Fault("contract/limits.py", "CANDIDATES_PER_RESULT = 4", "CANDIDATES_PER_RESULT = 3", "B"),
    Fault("contract/limits.py", "DEFAULT_THRESHOLD = 0.1", "DEFAULT_THRESHOLD = 0.15"),
    Fault("pipeline/search.py", 'if payload.get("data"):', "if True:"),
    Fault("contract/scoring.py", "semantic >= threshold", "semantic > threshold"),
    Fault("contract/scoring.py", "reverse=True", "reverse=False"),
    Fault("contract/scoring.py", "scored[:top_k]", "scored[: top_k + 1]"),
    Fault("contract/limits.py", "(6, (7.0, 0.6))", "(5, (7.0, 0.6))", "B"),
    Fault("contract/limits.py", "LONGEST_SIGMOID = (12.0, 0.5)",
          "LONGEST_SIGMOID = (11.0, 0.5)", "B"),
    Fault("contract/scoring.py", "1.0 + bool(self.keyword)", "2.0", "B"),
    Fault("contract/limits.py", "ENTITY_WEIGHT = 0.5", "ENTITY_WEIGHT = 0.45", "C"),
    Fault("contract/scoring.py", "LINK_DAMPING * others**2", "LINK_DAMPING * others", "C"),
    Fault("contract/limits.py", "BOOST_SIMILARITY = 0.5", "BOOST_SIMILARITY = 0.8", "C"),
    Fault("contract/limits.py", "MATCH_SIMILARITY = 0.95", "MATCH_SIMILARITY = 0.7", "C"),
    # Entities
    Fault("contract/limits.py", "QUERY_ENTITIES = 8", "QUERY_ENTITIES = 7", "C"),
    Fault("contract/payload.py", "LINKS: sorted(mention.memory_ids),",
          "LINKS: sorted(mention.memory_ids, reverse=True),", "C"),
    Fault("contract/v2_0_4.py", "text.strip().lower()", "text.strip()", "C"),
    # Filters
    Fault("contract/filters.py", "return value is not None and not _is_any(value, operands)",
          "return not _is_any(value, operands)"),
    Fault("contract/filters.py", "isinstance(value, float) or isinstance(value, bool)",
          "isinstance(value, bool)"),
    Fault("contract/filters.py", "[word.lower() for word in _WORD.findall(text)]",
          "_WORD.findall(text)"),
    Fault("contract/filters.py", "wanted.issubset(words(value))",
          "bool(wanted.intersection(words(value)))"),
    Fault("contract/filters.py", '"gte": lambda value, bound: value >= bound',
          '"gte": lambda value, bound: value > bound'),
    Fault("contract/filters.py", "any(matches(one, payload) for one in group.alternatives)",
          "all(matches(one, payload) for one in group.alternatives)"),
    Fault("contract/filters.py", "{**old, **value} if isinstance(old, dict)",
          "{**value, **old} if isinstance(old, dict)"),
    Fault("contract/filters.py", "value if isinstance(value, list) else [value])]", "[value])]"),
    # Text and prompts
    Fault("text/reply.py", "json.loads(find_json(text), strict=False)",
          "json.loads(find_json(text))"),
    Fault("text/reply.py", 'text.rfind("}")', 'text.find("}")'),
    Fault("text/reply.py", "return _without_thoughts(_without_fence(reply.strip())).strip()",
          "return _without_fence(reply.strip()).strip()"),
    Fault("contract/limits.py", 'SPOKEN_ROLES = ("system", "user", "assistant")',
          'SPOKEN_ROLES = ("system", "user", "assistant", "tool")'),
    Fault("prompts/user_prompt.py", "EXCERPT_LENGTH = 300", "EXCERPT_LENGTH = 299"),
    Fault("prompts/user_prompt.py", "ensure_ascii=False", "ensure_ascii=True"),
    Fault("prompts/user_prompt.py", "json.dumps(values or [], ensure_ascii=False)",
          'json.dumps(values or [], ensure_ascii=False, separators=(",", ":"))'),
    Fault("text/terms.py", "len(token) > TOKEN_LIMIT", "len(token) >= TOKEN_LIMIT", "B"),
    Fault("text/terms.py", "term_weight(count, len(numbers))", "term_weight(count, len(counts))",
          "B"),
    # The kernel
    Fault("kernel.py", "\nB = 0.75", "\nB = 0.7", "B"),
    Fault("kernel.py", "AVERAGE_LENGTH = 256.0", "AVERAGE_LENGTH = 255.0", "B"),
    Fault("kernel.py", "numbers[at] / length", "numbers[at]"),
    # What runs where the kernel is not compiled
    Fault("store/uncompiled.py", "sizes[row] // 4", "sizes[row] // 4 + 1", "B"),
    Fault("store/uncompiled.py", "term_weight(counts[row],", "term_weight(1,", "B"),
    Fault("store/uncompiled.py", "scores[row] >= least", "scores[row] > least"),
    Fault("store/uncompiled.py", "row_keys[row] in allowed", "row_keys[row] not in allowed"),
    # Scopes and stores
    Fault("contract/arguments.py", "trimmed = value.strip()", "trimmed = value"),
    Fault("contract/scope.py", "sorted(SCOPE_KEYS)", "SCOPE_KEYS"),
    Fault("contract/limits.py", "KEPT_MESSAGES = 10", "KEPT_MESSAGES = 11"),
    Fault("store/ledger.py", "ORDER BY created_at ASC, DATETIME(updated_at) ASC",
          "ORDER BY created_at ASC, DATETIME(updated_at) DESC"),
    Fault("store/ledger.py", "(_MESSAGE_FIELDS))}) ORDER BY created_at ASC",
          "(_MESSAGE_FIELDS))}) ORDER BY created_at DESC"),
    Fault("store/reading.py", "ORDER BY p.id LIMIT ?", "ORDER BY p.row_key LIMIT ?"),
    Fault("store/row_keys.py", "s.{key} = ? AND", "s.{key} >= ? AND"),
    Fault("store/keywords.py", "self._recent.change(less, more, texts)", "pass", "B"),
    Fault("store/keywords.py", "[0][0] + recent.texts", "[0][0]", "B"),
    Fault("store/keywords.py", "(texts - containing + 0.5)", "(texts - containing + 0.4)", "B"),
)  # fmt: skip

AREAS = {"A": "", "B": "scoring", "C": "entities"}  # where to look, by tier; "" is everywhere


def run(source: tuple[Path, ...], tier: str, python: str) -> set[str]:
    """The differences that the scenarios show with the isomem that these folders lead to."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-m", "isomem_parity", str(SCENARIOS / AREAS[tier]), "--tier", tier]
        command += ["--class", "sync", "--report", folder]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(map(str, source))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 2:
            raise RuntimeError(done.stderr.strip())
        told = Path(folder, "parity.json")
        if not told.exists():
            return {f"crash: {done.stderr.strip().splitlines()[-1]}"}
        report: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    return {
        f"{one['area']}/{one['title']} step {one['step']} {one['op']}: {one['path']}"
        for one in report["differences"]
    }


def plant(fault: Fault, source: Path, python: str, known: dict[str, set[str]]) -> Verdict:
    """Plant one fault in a copy of the package, and look for what is new."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "isomem"
        shutil.copytree(source / "isomem", copy)
        target = copy / fault.file
        for compiled in copy.glob("*.so"):
            compiled.unlink()  # It would run in place of a kernel with a fault.
        text = target.read_text(encoding="utf-8") if target.exists() else ""
        if fault.old not in text:
            return Verdict(fault, "", "the text to change is not there")
        target.write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")
        new = run((Path(folder), source), fault.tier, python) - known[fault.tier]
    return Verdict(fault, min(new, default=""), f"{len(new)} new differences")


def parser() -> argparse.ArgumentParser:
    """The words of this command line."""
    made = argparse.ArgumentParser(prog="python -m isomem_parity.mutate", description=__doc__)
    made.add_argument("--jobs", type=int, default=2)
    made.add_argument("--tiers", default="A,B,C", help="only the faults of these tiers")
    made.add_argument("--python", default=sys.executable, help="an interpreter with the oracle")
    made.add_argument("--only", default="", help="only files that contain this, or this,that")
    made.add_argument("--random", type=int, metavar="N", help="N random faults, for the tests")
    made.add_argument("--seed", type=int, default=0, help="which random faults")
    made.add_argument("--with", dest="also", default="", help="also in: cli,demo.py")
    made.add_argument(
        "--checkout", type=Path, default=Path(), help="whose tests --random asks (default: here)"
    )
    made.add_argument("--least", type=float, default=95.0, help="per cent to be caught")
    return made


def main(argv: list[str] | None = None) -> int:
    """0 when every fault was caught, or of random ones as many as `--least` asks for."""
    options = parser().parse_args(argv)
    if options.random:
        return survivors.main(options)
    wanted, only = options.tiers.split(","), options.only.split(",")
    faults = [
        one for one in FAULTS if one.tier in wanted and any(part in one.file for part in only)
    ]
    tiers = sorted({one.tier for one in faults})
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        source = Path(folder)  # one state of the source for all, whoever edits meanwhile
        pyc = shutil.ignore_patterns("*.pyc")
        shutil.copytree(PACKAGE, source / "isomem", ignore=pyc)
        shutil.copytree(HARNESS, source / "isomem_parity", ignore=pyc)
        known = {tier: run((source,), tier, options.python) for tier in tiers}
        verdicts = []
        for verdict in pool.map(lambda one: plant(one, source, options.python, known), faults):
            verdicts.append(verdict)
            print(_line(verdict), flush=True)
    missed = [verdict for verdict in verdicts if not verdict.by]
    print(f"{len(verdicts)} faults planted, {len(verdicts) - len(missed)} caught")
    return 1 if missed else 0


def _line(verdict: Verdict) -> str:
    fault = verdict.fault
    change = f"{fault.old.strip()[:44]!r} -> {fault.new.strip()[:44]!r}"
    state = f"caught by {verdict.by}" if verdict.by else "MISSED"
    return f"{fault.file:<24} {fault.tier} {change}\n    {state} ({verdict.note})"


if __name__ == "__main__":
    sys.exit(main())
