"""Stories from seeds until the time is over: `soak.py SECONDS [SEED]`; a failure prints the seed that reproduces it."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulation.story import APPLIES, EDITS, Step, Story


def steps_of(seed: int) -> list[Step]:
    """The story of a seed."""
    chance = random.Random(seed)
    steps = []
    for _ in range(chance.randint(3, 40)):
        pool = EDITS if chance.random() < 0.6 else APPLIES
        steps.append((chance.choice(pool).__name__, chance.randrange(1000)))
    return steps


def tell(seed: int) -> str | None:
    """What went wrong, if anything."""
    with tempfile.TemporaryDirectory() as folder, Story(Path(folder)) as story:
        try:
            story.tell(steps_of(seed))
            story.end()
        except Exception:
            return traceback.format_exc()
    return None


def main(seconds: float, first: int) -> int:
    """How many stories ended badly, at most 255."""
    told: Counter[str] = Counter()
    failures = []
    begun = time.monotonic()
    for seed in count(first):
        if time.monotonic() - begun > seconds:
            break
        told.update(name for name, _ in steps_of(seed))
        wrong = tell(seed)
        if wrong:
            failures.append(seed)
            print(f"seed {seed} ended badly: {steps_of(seed)}\n{wrong}", flush=True)
    stories = seed - first
    print(f"{stories} stories of {told.total()} steps in {time.monotonic() - begun:.0f} s, seeds from {first}")
    print(", ".join(f"{name} {number}" for name, number in sorted(told.items())))
    print(f"{len(failures)} ended badly{': seeds ' + ', '.join(map(str, failures)) if failures else ''}")
    return min(len(failures), 255)


if __name__ == "__main__":
    os.environ.setdefault("HYPOTHESIS_DATABASE_FILE", "")
    only = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    sys.exit(main(float(sys.argv[1]), only))
