"""A page to click: give a picture, choose a person, see the swap; what `condswap app` serves.

Needs Gradio (`pip install "condswap[app]"`), and OpenCV where faces are to be found in photos (`pip install
"condswap[app,video]"`).
"""

from condswap.app.page import build
from condswap.app.serving import serve

__all__ = ["build", "serve"]
