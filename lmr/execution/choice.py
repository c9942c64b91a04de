"""Which engine a command's work runs on."""

from __future__ import annotations

from lmr.errors import UsageError
from lmr.execution import Executor
from lmr.execution.local import Local
from lmr.settings import Settings

ENGINES = ("local", "ray")


def engine_of(settings: Settings) -> Executor:
    """That of the settings, which begins nothing yet. Raises UsageError, and EngineError where it is not installed."""
    if settings.engine not in ENGINES:
        raise UsageError(f"engine is {settings.engine!r}; it takes {' or '.join(ENGINES)}")
    if settings.engine == "local":
        return Local(settings.worker_count)
    from lmr.execution.cluster import Ray

    return Ray(settings.ray_address, settings.workers or None, settings.worker_count)
