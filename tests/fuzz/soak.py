"""Mutates until the time is over: `soak.py SECONDS [SEED]`; a failure prints the seed and file that reproduce it."""

from __future__ import annotations

import random
import resource
import sys
import time
import traceback
from collections import Counter
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.mutate import mutated
from fuzz.probe import probed
from fuzz.samples import projects


def main(seconds: float, first: int) -> int:
    """How many inputs ended in something else than a plan or an error of ours."""
    found = projects()
    came: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    begun = time.monotonic()
    for seed in count(first):
        if time.monotonic() - begun > seconds:
            break
        chance = random.Random(seed)
        name = chance.choice(sorted(found))
        files = dict(found[name])
        broken = chance.choice(sorted(files))
        files[broken] = mutated(files[broken], chance)
        try:
            came[probed(files)] += 1
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            cause = f"{type(error).__name__} at {last.filename}:{last.lineno}"
            causes[cause] += 1
            if causes[cause] == 1:
                print(f"seed {seed}, {name}, {broken}: {cause}: {error}\n{files[broken][:300]!r}", flush=True)
    print(f"{seed - first} inputs in {time.monotonic() - begun:.0f} s, seeds from {first}; came to {dict(came)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{causes.total()} ended badly in {len(causes)} ways; peak memory {peak:.0f} MB")
    return min(causes.total(), 255)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)))
