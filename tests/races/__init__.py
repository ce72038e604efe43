"""Two real processes on one ledger."""
