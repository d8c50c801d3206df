"""The pictures that the doctor found something about, to look at: as a page and as one picture."""

import base64
import contextlib
import html
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from condswap.data.doctor.diagnosis import NOTE, Diagnosis, Finding
from condswap.data.reading import decode
from condswap.errors import DataError
from condswap.files import write_atomically
from condswap.pictures import encode_picture, save_grid

_SIDE = 96
_ON_PAGE, _IN_ROW = 24, 8

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#26262a}
pre{overflow-x:auto;background:#f4f4f1;padding:1rem}figure{display:inline-block;margin:.3rem;width:96px}
img{width:96px;height:96px;background:#ddd}figcaption{font-size:11px;overflow-wrap:anywhere;color:#6e6e76}"""


def save_page(diagnosis: Diagnosis, path: Path) -> None:
    """Write a page (HTML) that needs nothing beside itself: the tables, and up to 24 pictures of each finding.

    Raises:
        DataError: the disk refuses.
    """
    parts = [f"<pre>{html.escape(diagnosis.to_text())}</pre>"]
    for finding, shown in _shown(diagnosis, _ON_PAGE):
        parts.append(f"<h2>{html.escape(finding.told)}</h2>")
        parts += [_figure(name, image) for name, image in shown]
    title = f"Faces in {html.escape(str(diagnosis.root))}"
    head = f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    page = f"{head}<h1>{title}</h1>\n"
    write_atomically(path, (page + "\n".join(parts) + "\n</html>\n").encode("utf-8", "backslashreplace"))


def save_sheet(diagnosis: Diagnosis, path: Path) -> None:
    """Write one picture with a row of up to 8 pictures of each finding; without any finding about pictures, of each person.

    Raises:
        DataError: the disk refuses.
    """
    rows: dict[str, Tensor] = {}
    for finding, shown in _shown(diagnosis, _IN_ROW):
        images = [image for _, image in shown]
        blank = [torch.ones(3, _SIDE, _SIDE)] * (_IN_ROW - len(images))
        rows[f"{finding.person or ''} {finding.kind}".strip()] = torch.stack([*images, *blank])
    if not rows:
        everybody = [
            Finding(kind="", severity=NOTE, told="", person=one.name, pictures=one.shown) for one in diagnosis.people
        ]
        return save_sheet(replace(diagnosis, findings=everybody), path)
    return save_grid(path, rows)


def _shown(diagnosis: Diagnosis, most: int) -> Iterator[tuple[Finding, list[tuple[str, Tensor]]]]:
    """Give the findings that are about pictures, with the pictures that can be shown."""
    for finding in diagnosis.findings:
        shown = []
        for path in finding.pictures[:most]:
            with contextlib.suppress(DataError, KeyError):  # one that cannot be read is told of in words
                shown.append((path.name, decode(diagnosis.files[path], _SIDE).pixels[:3].float() / 255))
        if shown:
            yield finding, shown


def _figure(name: str, image: Tensor) -> str:
    data = base64.b64encode(encode_picture(image, "JPEG", quality=85)).decode()
    words = html.escape(name)
    return f'<figure><img alt="{words}" src="data:image/jpeg;base64,{data}"><figcaption>{words}</figcaption></figure>'
