"""The page and the interface for programs: a thin skin over the library, served on the user's own machine."""
