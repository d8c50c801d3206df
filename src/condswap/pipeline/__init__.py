"""A picture, a folder or a video through all of it: find, align, swap, blend back, mark, write."""

from condswap.pipeline.extraction import Extracted, extract
from condswap.pipeline.outputs import Signature, Swapped
from condswap.pipeline.run import Swapping
from condswap.pipeline.swapper import FaceSwapper, Look, Wanted

__all__ = ["Extracted", "FaceSwapper", "Look", "Signature", "Swapped", "Swapping", "Wanted", "extract"]
