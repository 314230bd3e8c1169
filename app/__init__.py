"""The explorer: runs, what analyses found in them, and trainings, in the browser.

It computes nothing itself: it reads runs and results, and draws the figures they give. It needs no network.
"""

from rnnscope.app.server import create_app, serve

__all__ = ["create_app", "serve"]
