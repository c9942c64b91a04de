"""What the parts of the ledger have in common of SQL."""

COMING = (  # what a change carries: the version that its transaction makes the present one, see State
    "(SELECT coalesce(max(CAST(value AS INTEGER)), 0) + 1 FROM meta WHERE key = 'version')"
)
