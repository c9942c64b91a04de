"""The databases on the user's own machine: fetching, starting, watching, stopping."""
