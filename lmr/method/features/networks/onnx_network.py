"""Networks in ONNX, run by ONNX Runtime on one core: nothing of the file is code of a machine or of Python.

The runtime knows a closed set of operators; files that ask for others, or for data beside them, are refused when they
are added (extractors.checkpoints.onnx_files).
"""

from __future__ import annotations

from lmr.errors import CheckpointError, UsageError
from lmr.method.features.networks.recipe import Recipe
from lmr.values import Array


def runtime() -> str:
    """What runs such networks, in the one number that may matter. Raises UsageError where it is not installed.

    Later minor versions may round otherwise, by about a millionth: no reason to describe all photos anew.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError("networks in ONNX need ONNX Runtime: install lmr with its extra `onnx`") from error
    return f"onnxruntime {onnxruntime.__version__.split('.')[0]}"


class OnnxNetwork:
    """A network from the bytes of its file; call it with a picture. Raises CheckpointError where it makes none."""

    def __init__(self, recipe: Recipe, model: bytes) -> None:
        runtime()
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # as many processes work at once
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        options.add_session_config_entry("session.load_model_format", "ONNX")
        self._recipe = recipe
        try:
            self._session = onnxruntime.InferenceSession(
                model,
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # which prints
            )
        except Exception as error:  # it has a class of its own for each of its causes
            raise CheckpointError(f"ONNX Runtime cannot load it: {_first_line(error)}") from error

    def __call__(self, picture: Array) -> Array:
        """(h, w, 3) uint8 RGB, as the recipe makes it -> (D,) float32 of length 1. Raises CheckpointError."""
        try:
            given = {self._recipe.input: self._recipe.tensor(picture)}
            (found,) = self._session.run([self._recipe.output], given)
        except Exception as error:
            raise CheckpointError(f"ONNX Runtime cannot run it: {_first_line(error)}") from error
        return self._recipe.vector(found)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
