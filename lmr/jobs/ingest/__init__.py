"""Photos from folders into the ledger."""
