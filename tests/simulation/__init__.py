"""Random edits, faults and kills against one set of invariants."""
