"""Provenance: files say that a model made what they show, and by which model, and can be checked for it."""

from condswap.provenance.containers import mark_file, marked, read_mark
from condswap.provenance.manifest import Manifest, sign
from condswap.provenance.mark import DIGITAL_SOURCE_TYPE, Mark
from condswap.provenance.verify import Found, verify

__all__ = ["DIGITAL_SOURCE_TYPE", "Found", "Manifest", "Mark", "mark_file", "marked", "read_mark", "sign", "verify"]
