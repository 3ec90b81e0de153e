"""Lower precision in one attempt and without a judge, for those who compare several models themselves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit
from modelnook.quantize import ways
from modelnook.quantize.base import Quantizer
from modelnook.quantize.candidates import CALIBRATION
from modelnook.quantize.library import backend as backend_of

__all__ = ["Once", "parse"]


def parse(option: str) -> tuple[str, str]:
    """``(backend, scheme)`` of ``SCHEME`` or ``SCHEME:BACKEND``.

    >>> parse("int8"), parse("int8:onnx")
    (('auto', 'int8'), ('onnx', 'int8'))
    """
    scheme, _, backend = option.partition(":")
    return backend or "auto", scheme


class Once:
    """Makes folders of lower precision: by the quickest way that can do the model, in its quickest form.

    Args:
        rows: some of the person's, as a runtime takes them.
    """

    def __init__(self, task: str, rows: list[Any], emit: Emit) -> None:
        self.task, self.rows, self.emit = task, rows[:CALIBRATION], emit
        self.able: dict[str, str] = {}
        """Option -> the backend that could do it, asked first the next time."""

    def __call__(self, source: Path, target: Path, option: str) -> None:
        """Write ``target``.

        Raises:
            UnsupportedError: no backend of this machine can do the model; the best known one says why.
        """
        backend, scheme = parse(option)
        kinds: dict[str, type[Quantizer]] = {}
        errors: list[UnsupportedError] = []
        for name, _ in ways(backend, scheme, self.task):
            try:
                kinds[name] = backend_of(name)
            except UnsupportedError as error:
                errors.append(error)
        names = sorted(kinds, key=lambda name: -kinds[name].speed.get(scheme, 1.0))
        for name in sorted(names, key=lambda name: name != self.able.get(option)):
            made = kinds[name]()
            try:
                made.quantize(
                    source,
                    target,
                    scheme,
                    task=self.task,
                    calibration=self.rows,
                    emit=self.emit,
                    **made.attempts(scheme)[0],
                )
            except UnsupportedError as error:
                shutil.rmtree(target, ignore_errors=True)
                errors.append(error)
                continue
            self.able[option] = name
            return
        raise errors[0]
