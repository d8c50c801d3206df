"""Writes docs/images/page.png, the page of `condswap app` with a toy face: python docs/page_picture.py demo/swapper.

The model is that of `condswap demo`. Needs Chromium and Playwright, as the tests of the page do.
"""

import shutil
import sys
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from app_server import AppServer, choose, chromium, swap, upload  # noqa: E402
from PIL import Image  # noqa: E402

from condswap import CGAN, ToyFaces  # noqa: E402
from condswap.files import write_atomically  # noqa: E402
from condswap.pictures import save_picture  # noqa: E402
from condswap.pretrained import mark_of  # noqa: E402
from condswap.provenance import marked  # noqa: E402

OUT = ROOT / "docs" / "images" / "page.png"
FACE = 6  # of those that the demo did not train on


def main(model: Path) -> None:
    """Open the page, swap a face, and write what is seen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(model, folder / "demo" / "swapper")
        toys = ToyFaces(2, image_size=64, seed=0, length=64, split="test")
        save_picture(toys[FACE]["image"], folder / "face.png")
        server = AppServer(folder, "demo/swapper")
        try:
            with chromium() as browser:
                page = browser.new_page(viewport={"width": 860, "height": 700}, locale="en-GB")
                page.goto(server.url)
                page.wait_for_selector("#swap")
                upload(page, folder / "face.png")
                choose(page, "to", toys.classes[1 - int(toys[FACE]["label"])])
                page.click("#more button")
                page.uncheck("#colours input")
                swap(page)
                page.wait_for_selector("#result img")
                page.mouse.move(0, 0)
                page.wait_for_timeout(1000)  # until what fades has faded
                shot = page.screenshot(full_page=True)
        finally:
            server.stop()
    picture, small = Image.open(BytesIO(shot)).convert("RGB"), BytesIO()
    palette = picture.quantize(256, kmeans=4)  # half the bytes, and nothing of it is seen
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(small, "PNG", optimize=True)
    write_atomically(OUT, marked(small.getvalue(), mark_of(CGAN.from_pretrained(model))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
