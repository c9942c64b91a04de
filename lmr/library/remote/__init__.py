"""A collection behind `lmr serve`, with the interface of an open one."""
