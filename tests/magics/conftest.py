"""One shell for the session, as it would be after a fresh ``%load_ext`` in each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture(scope="session")
def _shell() -> Iterator[Any]:
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(_shell: Any) -> Iterator[Any]:
    """An IPython shell with the extension loaded and no variables."""
    _shell.set_custom_exc((), None)
    _shell.run_line_magic("reload_ext", "modelnook")
    yield _shell
    _shell.reset(new_session=False)
