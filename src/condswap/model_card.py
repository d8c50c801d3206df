"""The README.md that lies beside a saved swapper: what it is, how to use it, and what it must not be used for.

Everything that a person supplied (names of classes, licence, statement of consent) is quoted for the place where it
stands, so that it can break neither the YAML of the front matter nor the Markdown below it.
"""

import json
import re
from collections.abc import Mapping, Sequence

from condswap.errors import DataError
from condswap.provenance import DIGITAL_SOURCE_TYPE

__all__ = ["MEASURED", "as_shown", "is_our_card", "model_card", "with_measured"]

MEASURED = "measured "
"""What the names of measurements begin with among the facts of the training; they get a section of their own."""


_LISTED = 50  # classes; who wants all of more looks into config.json

_MEASURED_HEADING = "## Measured"
_MARKER = "<!-- condswap writes this card anew at every save; delete this line to keep your own words -->"
_TAGS = ("condswap", "face-swap", "conditional-gan", "image-to-image", "safetensors", "synthetic-media")

# The Hub refuses a card whose `license` it does not know; any other one is `other` with a `license_name`.
# fmt: off
_KNOWN_LICENSES = {
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc",
    "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0",
    "creativeml-openrail-m", "epl-2.0", "eupl-1.2", "gpl", "gpl-2.0", "gpl-3.0", "isc", "lgpl", "lgpl-2.1",
    "lgpl-3.0", "mit", "mpl-2.0", "ms-pl", "openrail", "openrail++", "other", "unknown", "unlicense", "wtfpl", "zlib",
}
# fmt: on


def model_card(
    *,
    classes: Sequence[str],
    image_size: tuple[int, int],
    parts: Mapping[str, str],
    training: Mapping[str, str | int | float] | None,
    consent: str | None,
    license: str | None,
    repo_id: str | None = None,
) -> str:
    """Write the README.md of a saved swapper.

    Args:
        classes: names of the classes, in the order of their numbers.
        image_size: (height, width) in pixels.
        parts: what each role is, such as `{"encoder": "ConvEncoder"}`.
        training: how it was trained, such as `{"steps": 2000}`, or None when that is not known. What begins with "measured "
            was measured afterwards, and stands under "Measured".
        consent: the statement that the people shown agreed; None or blank says clearly that there is none.
        license: an identifier such as `"cc-by-nc-4.0"`, or the name of any other licence; None or blank for none.
        repo_id: where it is published, for the usage snippet.

    Example:
        >>> card = model_card(classes=["ann", "bob"], image_size=(64, 64), parts={"encoder": "ConvEncoder"},
        ...                   training=None, consent=None, license="MIT")
        >>> card.splitlines()[:3]
        ['---', 'library_name: "condswap"', 'license: "mit"']
        >>> is_our_card(card)
        True
    """
    consent, license = (consent or "").strip(), (license or "").strip()
    height, width = image_size
    settings = {key: value for key, value in (training or {}).items() if not key.startswith(MEASURED)}
    people = ", ".join(f"{number}: {as_shown(name)}" for number, name in enumerate(classes[:_LISTED]))
    if len(classes) > _LISTED:
        people += f" and {len(classes) - _LISTED:,} more, see config.json"
    sections = [
        f"{_front_matter(license)}\n\n{_MARKER}",
        "# A face swapper made with condswap",
        f"This model shows the face in a picture as one of the {len(classes):,} classes that it was trained on. It is a "
        "conditional GAN: one network for all classes, told by a label which of them to show.",
        "## Use",
        _usage(classes, width=width, height=height, repo_id=repo_id),
        "The picture holds one aligned face, as float32 RGB from 0 to 1, (batch, 3, height, width).",
        "## What is in it",
        f"Classes: {people or 'none'}.",
        f"Image size: {height} x {width} pixels (height x width).",
        _table("part", "type", parts),
        "## Training",
        _table("setting", "value", settings) if settings else "How it was trained was not recorded.",
        _MEASURED_HEADING,
        _measured(training or {}),
        "## Consent",
        f"Statement of whoever made this model: {as_shown(consent)}"
        if consent
        else "**No statement of consent was given: this model is not for publication.** Whoever passes it on needs the "
        "consent of every person whose face it shows.",
        "## Licence",
        f"Given under: {as_shown(license)}" if license else "No licence was given; ask whoever made this model first.",
        "## What it must not be used for",
        "- No picture or video of a person who did not consent to it; above all no sexual or degrading one.\n"
        "- No deception: no fraud, no false evidence, no words put into mouths, no passing of identity checks.\n"
        "- Whoever shows its pictures says, where they are shown, that they are synthetic.",
        "## Marking",
        "Every picture that this model makes is synthetic: a real picture with a face made by a trained algorithm. Its "
        f"IPTC digital source type is `{DIGITAL_SOURCE_TYPE}`. condswap writes that into the files that it makes; a mark in a "
        "file can be removed, so keep it there and do not rely on its absence.",
        "## Limits",
        "A swap may leak the identity of the person in the picture: the result can look like a mixture of both. "
        "Measure it before relying on it (`condswap evaluate`). Faces, poses and light unlike those of the training "
        "pictures come out worse; between the frames of a video the face may flicker.",
    ]
    return "\n\n".join(sections) + "\n"


def is_our_card(text: str) -> bool:
    """Say whether condswap wrote this card, and so may write over it.

    Example:
        >>> is_our_card("# My own words")
        False
    """
    return _MARKER in (line.strip() for line in text.splitlines())


def with_measured(card: str, training: Mapping[str, str | int | float]) -> str:
    """Give a card of ours with another section "Measured"; everything else, such as the consent, stays as it is.

    Args:
        card: the text of a card that `model_card` wrote.
        training: as `model_card` takes it; what begins with "measured " is shown.

    Raises:
        DataError: it is no card of ours, or its sections are gone.

    Example:
        >>> card = model_card(classes=["ann"], image_size=(64, 64), parts={"encoder": "ConvEncoder"}, training=None,
        ...                   consent="Ann agreed.", license=None)
        >>> changed = with_measured(card, {"measured leak gap": 0.35})
        >>> "| leak gap | 0.35 |" in changed, "Ann agreed." in changed
        (True, True)
    """
    before, _, rest = card.partition(f"\n{_MEASURED_HEADING}\n")
    _, following, after = rest.partition("\n## ")
    if not rest:  # of a condswap that did not measure
        before, following, after = card.partition("\n## Consent\n")
    if not is_our_card(card) or not following:
        raise DataError(
            f"the model card is not one that condswap wrote, or was changed: there is no place for {_MEASURED_HEADING!r} in "
            "it; save the model again with save_pretrained"
        )
    return f"{before}\n{_MEASURED_HEADING}\n\n{_measured(training)}\n{following}{after}"


def _measured(training: Mapping[str, str | int | float]) -> str:
    """Give what stands under "Measured"."""
    found = {key.removeprefix(MEASURED): value for key, value in training.items() if key.startswith(MEASURED)}
    if not found:
        return "Nothing: how well it swaps is not known. `condswap evaluate` measures it."
    return f"By `condswap evaluate`, which explains the figures.\n\n{_table('figure', 'value', found)}"


def _front_matter(license: str) -> str:
    """Give the YAML between its two lines of dashes."""
    lines = [f"library_name: {_quoted('condswap')}"]
    if license.lower() in _KNOWN_LICENSES:
        lines.append(f"license: {_quoted(license.lower())}")
    elif license:
        name = re.sub(r"[^a-z0-9.]+", "-", license.lower())[:60].strip("-.")
        lines += [f"license: {_quoted('other')}", f"license_name: {_quoted(name or 'unnamed')}"]
    lines += [f"pipeline_tag: {_quoted('image-to-image')}", "tags:", *(f"- {_quoted(tag)}" for tag in _TAGS)]
    return "\n".join(["---", *lines, "---"])


def _usage(classes: Sequence[str], *, width: int, height: int, repo_id: str | None) -> str:
    """Give the snippet that a reader pastes."""
    shown = _quoted(classes[-1]) if classes else "0"
    lines = [
        "```python",
        "import torch",
        "from condswap import CGAN",
        "",
        f"model = CGAN.from_pretrained({_quoted(repo_id or 'the/folder/of/this/file')})",
        f"image = torch.rand(1, 3, {height}, {width})  # your picture",
        f"swapped = model.swap(image, {shown})",
        "```",
    ]
    return "\n".join(lines)


def _table(name: str, value: str, rows: Mapping[str, str | int | float]) -> str:
    """Give a Markdown table of two columns."""
    head = [f"| {name} | {value} |", "| --- | --- |"]
    return "\n".join(head + [f"| {as_shown(key)} | {as_shown(str(content))} |" for key, content in rows.items()])


def _quoted(text: str) -> str:
    """Quote a string on one line, the same for YAML, JSON and Python."""
    # Unlike JSON, YAML bears no raw control or format characters, and reads no surrogate pairs.
    return "".join(_escaped(letter) for letter in json.dumps(text, ensure_ascii=False))


def _escaped(letter: str) -> str:
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


def as_shown(text: str) -> str:
    r"""Give a text as one line that Markdown shows as it is; it must not begin a line of its own.

    What does not print is shown as the replacement character, so that no text can hide or reverse another.

    >>> as_shown("d3_woman *is* <b>here</b>")
    'd3_woman \\*is\\* &lt;b&gt;here&lt;/b&gt;'
    """
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))
    # An underscore between two letters is one of a name: Markdown reads none there.
    line = re.sub(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", line)
    # Entities, not backslashes: what sanitises HTML before Markdown is read knows no backslash.
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
