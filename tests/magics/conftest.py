"""One shell for the session, as it would be after a fresh ``%load_ext`` in each test."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture(scope="session")
def _shell() -> Iterator[Any]:
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()
    gc.unfreeze()


@pytest.fixture
def shell(_shell: Any) -> Iterator[Any]:
    """An IPython shell with the extension loaded and no variables."""
    _shell.set_custom_exc((), None)
    _shell.run_line_magic("reload_ext", "modelnook")
    # A reset collects garbage: half a second a test where other rooms have loaded torch.
    gc.freeze()
    yield _shell
    _shell.reset(new_session=False)
