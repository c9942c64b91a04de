"""The Python interface: a collection, what is asked of it, and what comes back."""
