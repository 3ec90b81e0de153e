"""Which verbs refuse a model whatever the rows are: what its card leaves out of what it offers."""

from __future__ import annotations

from modelnook.api.bases import trained_no_further
from modelnook.api.rows import done_by, quantized_as
from modelnook.domain.model import ModelInfo

__all__ = ["unfit"]

_ANSWERING = ("evaluate", "load", "predict", "quantize")
_PROGRAMS = frozenset(("onnx", "openvino"))


def unfit(entry: ModelInfo) -> tuple[str, ...]:
    """The verbs, sorted; of a model that isn't here as far as its source tells."""
    from modelnook.tasks import TASKS

    refusing = {*(_ANSWERING if entry.task and done_by(entry) not in TASKS else ())}
    if "sklearn" in entry.formats:
        refusing |= {"finetune", "quantize"}
    elif entry.path:
        if trained_no_further(entry):
            refusing |= {"finetune", "quantize"}
        elif entry.task is None or quantized_as(entry):
            refusing.add("quantize")
    elif _without_floats(entry):
        refusing |= {"finetune", "quantize"}
    return tuple(sorted(refusing))


def _without_floats(entry: ModelInfo) -> bool:
    """Whether a model elsewhere is programs alone, or quantized in a form that isn't read as floats."""
    forms = {*entry.formats}
    return (bool(forms) and forms <= _PROGRAMS) or (entry.relation == "quantized" and "gguf" not in forms)
