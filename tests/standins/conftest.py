"""The stand-ins' own tests run without the rest."""

from tests.standins.fixtures import *  # noqa: F403
