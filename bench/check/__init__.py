"""A check for regressions that a noisy machine cannot disturb: it counts instructions.

    python -m bench.check                    # against bench/check/instructions.json
    python -m bench.check --against HEAD~1   # against another revision, measured beside it
    python -m bench.check --record           # the record of this Python, this processor, renewed

Valgrind runs each operation in a process of its own, once with no call and once with many; the
difference is what the calls took. Ids, times, texts and hash seed are fixed, so the counts hardly
vary (`docs/benchmarks.md` says how much), and a busy machine only makes the check take longer.
"""
