"""What tests in more than one folder share."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hub_server import HubServer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator["HubServer"]:
    """A Hugging Face Hub on this machine, token `hf_test`, with the real client pointed at it and an empty cache."""
    from hub_server import HubServer, patch_client

    with HubServer(token="hf_test") as server:
        patch_client(monkeypatch, server, tmp_path / "hub_home")
        from huggingface_hub.utils import (
            are_progress_bars_disabled,
            close_session,
            disable_progress_bars,
            enable_progress_bars,
        )

        shown = not are_progress_bars_disabled()
        disable_progress_bars()
        close_session()  # it may hold connections, and proxies, of before
        yield server
        close_session()
        if shown:
            enable_progress_bars()
