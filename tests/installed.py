"""What the suites of backends share: those whose package isn't there are skipped."""

from __future__ import annotations

import pytest

__all__ = ["Installed"]


class Installed:
    """Inherited before a suite; skipped where ``package`` can't be imported."""

    package: str

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        pytest.importorskip(cls.package)
