"""`condswap app`."""

import argparse

from condswap.cli.kinds import add_device, port
from condswap.cli.parsing import Commands, examples


def add_app(added: Commands) -> None:
    """Add `condswap app`."""
    app = added.add_parser(
        "app",
        help="open a page on which faces are swapped by clicking",
        description="Opens a page in the browser: give a picture, choose whom to show, see the swap beside it, and download "
        "the file, which is marked as made by a model.\n\n"
        "Only this machine reaches the page, nothing is sent to another one, and what was uploaded is gone when the page ends. "
        "With another --host others reach it, too; they use MODEL and can load no other one.",
        epilog=examples("app demo/swapper", "app user/swapper --host 0.0.0.0 --port 8000"),
    )
    app.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="the folder of a saved model, or user/name on the Hub (default: it is loaded on the page)",
    )
    app.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="the address to serve on; 0.0.0.0 lets others on the network in (default: %(default)s, this machine alone)",
    )
    app.add_argument(
        "--port", type=port, metavar="N", help="the port to serve on (default: the first free one from 7860 on)"
    )
    add_device(app)
    app.add_argument(
        "--detector",
        metavar="FILE",
        help="the weights of YuNet, which finds faces in photos: an .onnx file, or user/name/file.onnx on the Hub (default: "
        "OpenCV's, from the Hub)",
    )
    app.add_argument("--no-browser", action="store_true", help="do not open the browser")
    app.set_defaults(
        run=_serve, go_on="what was uploaded and not downloaded is gone; give the same command again to open the page"
    )


def _serve(given: argparse.Namespace) -> None:
    """Serve the page."""
    from condswap.app import serve

    serve(
        given.model,
        host=given.host,
        port=given.port,
        device=given.device,
        detector=given.detector,
        browser=not given.no_browser,
    )
