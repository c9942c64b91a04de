"""Neural networks that describe photos, in PyTorch, equal to the programs that published their weights."""

import os

# ONNX Runtime, once it is imported, notes events of its use and an id of this machine in the user's cache, to be sent
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
