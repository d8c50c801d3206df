"""The page on an address of this machine."""

import ipaddress
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from condswap.app.page import build, require_gradio
from condswap.app.style import CSS, theme
from condswap.errors import ConfigError
from condswap.pretrained import scratch

_PORTS = range(7860, 7960)  # Gradio's own
_LARGEST = "50mb"  # of an upload


def serve(
    model: str | None = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    device: str | None = None,
    detector: str | None = None,
    browser: bool = True,
) -> None:
    """Serve the page until Ctrl-C; what was uploaded and made is gone then.

    On an address of this machine alone, models can be loaded on the page. On any other one there is only the model given,
    because whoever reaches the page could load what lies in any folder.

    Args:
        model: a folder, or "user/name" on the Hub.
        host: the address; "0.0.0.0" is every address of the machine.
        port: None takes the first free one from 7860 on.
        device: of the models; None takes what there is.
        detector: the weights of YuNet: a path, or "user/name/file.onnx" on the Hub.
        browser: open the page in the browser.

    Raises:
        ConfigError: Gradio is missing, the address cannot be used, or others would reach a page without a model.
        CondswapError: the model cannot be loaded, as in `CGAN.from_pretrained`.
        KeyboardInterrupt: Ctrl-C.
    """
    require_gradio()
    own = _is_own(host)
    if model is None and not own:
        raise ConfigError(
            f"--host {host} lets others in, and they must not load what lies in the folders of this machine; name the one "
            f"model that they may use: condswap app MODEL --host {host}"
        )
    chosen = _free_port(host, port)
    with scratch() as folder, _surroundings(folder, host):
        page = build(model, may_load=own, device=device, detector=detector)
        try:
            _, address, _ = page.launch(
                server_name=f"[{host}]" if ":" in host else host,
                server_port=chosen,
                inbrowser=browser,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                max_file_size=_LARGEST,
                ssr_mode=False,
                mcp_server=False,
                pwa=False,
                theme=theme(),
                css=CSS,
                app_kwargs={"middleware": _doorkeepers(host)} if own else None,
            )
            sys.stdout.write(f"The page: {address}   Ctrl-C ends it\n")
            sys.stdout.flush()
            while True:  # not `Event.wait`, which Ctrl-C does not reach on Windows
                time.sleep(60)
        finally:
            page.close(verbose=False)


def _is_own(host: str) -> bool:
    """Say whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _doorkeepers(host: str) -> list[Any]:
    """Let nobody in who calls this machine by another name: a foreign page whose own name leads here could read this one."""
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    names = [host, f"[{host}]", "localhost", "127.0.0.1"]
    return [Middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)]


def _free_port(host: str, port: int | None) -> int:
    """Give the port, or the first that is free."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--host {host} is no address of this machine; leave it out, or give 0.0.0.0") from error
    refused: OSError | None = None
    for one in _PORTS if port is None else (port,):
        with socket.socket(family, kind, protocol) as tried:
            if os.name == "posix":  # there it means: also where one was closed just now
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((address[0], one, *address[2:]))
                return one
            except (OSError, OverflowError) as error:
                refused = error if isinstance(error, OSError) else None
    told = "" if refused is None else f" ({refused.strerror})"
    if port is None:
        raise ConfigError(f"no port from {_PORTS[0]} to {_PORTS[-1]} can be used on {host}{told}; give --port")
    raise ConfigError(f"port {port} on {host} cannot be used{told}; leave --port out to have a free one taken")


@contextmanager
def _surroundings(folder: Path, host: str) -> Iterator[None]:
    """Let Gradio keep its files in a folder of ours, and reach its own address without a proxy."""
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "localhost", host]))
    meant = {"GRADIO_TEMP_DIR": str(folder), "NO_PROXY": direct, "no_proxy": direct}
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in meant}
    try:
        os.environ.update(meant)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
