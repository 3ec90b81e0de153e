"""The steps of a chain that makes a model smaller: which there are, and what is refused before a job is started."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modelnook.api.rows import refuse_quantized
from modelnook.domain.errors import UnsupportedError, UsageError, unknown
from modelnook.domain.model import ModelInfo
from modelnook.domain.recipe import Recipe

__all__ = ["check_last", "check_quantized", "check_steps", "students"]

STEPS = ("distil", "prune", "trim")
"""The steps of a chain beside the schemes of ``quantize``."""

_BODIES = ("feature-extraction", "fill-mask", "image-feature-extraction", "sentence-similarity", None)
"""Tasks of models that are there to be trained for another."""

_OPTIONS = {"prune": re.compile(r"auto|\d+|\d+(\.\d+)?%"), "trim": re.compile(r"auto|fewest|[1-9]\d*")}


def check_steps(steps: Sequence[str]) -> None:
    """Raise UsageError for a step that isn't one, an option that it doesn't take, or anything after quantization."""
    from modelnook.quantize import QUANTIZERS, SCHEMES

    if not steps:
        raise UsageError("shrink.no_steps", known=", ".join((*STEPS, *SCHEMES)))
    for at, step in enumerate(steps):
        name, colon, option = step.partition(":")
        if name not in (*STEPS, *SCHEMES):
            raise unknown("step", name, (*STEPS, *SCHEMES))
        if name in SCHEMES:
            if at < len(steps) - 1:
                raise UsageError("shrink.not_last", step=name)
            if option and option != "auto":
                # An unknown name; whether it can do the step is looked at once the task is known.
                QUANTIZERS[option]
        elif name in _OPTIONS and colon and not _OPTIONS[name].fullmatch(option):
            raise UsageError("shrink.bad_option", step=name, option=option)


def check_quantized(ref: str, entry: ModelInfo, step: str) -> None:
    """Refuse a quantized model for the first step, where that needs the weights as floats.

    Raises:
        UnsupportedError: one that was made here, whose original is named, or a GGUF file, which can be written as
            floats.
    """
    name, _, option = step.partition(":")
    if name == "distil" and option.partition(":")[0] not in ("", "auto", "layers"):
        # Of a teacher only its answers are taken.
        return
    code = "shrink.already_made" if name in STEPS else "quantize.already_made"
    refuse_quantized(code, ref, entry, step=name)
    if name in STEPS and entry.formats == ("gguf",):
        raise UnsupportedError("shrink.floats_first", ref=ref, step=name)


def check_last(recipe: Recipe, step: str) -> None:
    """Raise where the step that quantizes can't be done, before others take their time for nothing.

    Raises:
        MissingPackage, UnsupportedError: see :func:`modelnook.quantize.ways`.
    """
    from modelnook.jobs.device import has_gpu
    from modelnook.quantize import AUTO, SCHEMES, ways

    scheme, _, backend = step.partition(":")
    if scheme in SCHEMES:
        ways(backend or AUTO, scheme, recipe.task, gpu=has_gpu)


def students(recipe: Recipe, steps: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The steps with each student's whole reference, and those references.

    Raises:
        UsageError: a number of layers that isn't one.
        UnsupportedError: a student of another task, with other labels, or whose weights aren't floats.
    """
    from modelnook.catalog.search import info, resolve

    teacher, _ = info(recipe.model)
    found, models = [], []
    for step in steps:
        name, _, option = step.partition(":")
        if name != "distil" or option in ("", "auto"):
            found.append(step)
            continue
        if option.startswith("layers:"):
            if not re.fullmatch(r"layers:[1-9]\d*", option):
                raise UsageError("shrink.bad_option", step=name, option=option)
            found.append(step)
            continue
        student = resolve(option)
        entry = student.source.info(student.ref)
        refuse_quantized("shrink.already_made", option, entry, step=name)
        if entry.task not in (*_BODIES, recipe.task):
            raise UnsupportedError("shrink.student_task", student=option, task=entry.task, wanted=recipe.task)
        if entry.task == recipe.task and entry.run and set(entry.labels) != set(teacher.labels):
            raise UnsupportedError("shrink.student_labels", student=option, teacher=recipe.model)
        found.append(f"distil:{student.ref}")
        models.append(str(student.ref))
    return found, tuple(models)
