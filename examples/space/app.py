"""A page on which everybody swaps faces with one model: what a Hugging Face Space runs.

The variable `CONDSWAP_MODEL` of the Space names the model on the Hub. To try it here:
CONDSWAP_MODEL=demo/swapper python examples/space/app.py
"""

import os

from condswap.app import serve

MODEL = os.environ.get("CONDSWAP_MODEL", "user/swapper")
PORT = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))  # where a Space looks for its page

if __name__ == "__main__":
    serve(MODEL, host="0.0.0.0", port=PORT, browser=False)
