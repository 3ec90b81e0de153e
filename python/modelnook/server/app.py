"""The server extension: its settings, its route, and the end of everything that it started."""

from __future__ import annotations

from jupyter_server.extension.application import ExtensionApp
from traitlets import Float, Integer

from modelnook import __version__
from modelnook.server.answers import Answers
from modelnook.server.children import Children
from modelnook.server.feed import Feed
from modelnook.server.handlers import MethodHandler
from modelnook.server.opened import OpenedStore
from modelnook.server.reader import Reader

__all__ = ["ModelnookApp"]


class ModelnookApp(ExtensionApp):
    """``--ModelnookApp.NAME=value`` or ``c.ModelnookApp.NAME`` in a Jupyter configuration file."""

    name = "modelnook"
    version = __version__
    description = "The model catalogue and the run history, for the sidebar."
    load_other_extensions = True

    threads = Integer(4, min=1, help="Threads for what reads the disk, so that the event loop never waits.").tag(
        config=True
    )
    ask_seconds = Float(8.0, min=0.1, help="The longest that a question to a networked source may take.").tag(
        config=True
    )
    reader_idle_seconds = Float(
        60.0, min=0.0, help="How long the W&B reader goes on after the last look at the run history."
    ).tag(config=True)

    def initialize_settings(self) -> None:
        """Make what the handlers are handed. Nothing is opened or started before the first call."""
        self.opened = OpenedStore()
        self.children = Children()
        self.reader = Reader(self.opened, self.children, self.log, idle=self.reader_idle_seconds)
        self.feed = Feed(self.opened, self.reader)
        self.answers = Answers(
            self.opened, self.children, self.feed, threads=self.threads, ask_seconds=self.ask_seconds
        )
        self.settings["modelnook_answers"] = self.answers

    def initialize_handlers(self) -> None:
        """The one route; the server puts its base address before it."""
        self.handlers.append((r"/modelnook/api/(?P<method>.+)", MethodHandler))

    async def stop_extension(self) -> None:
        """End waiting requests, child processes and threads. Jobs go on: they belong to nobody."""
        await self.feed.close()
        await self.reader.close()
        await self.answers.close()
