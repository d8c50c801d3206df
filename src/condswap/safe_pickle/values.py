"""Arrays as they lie in a pickle."""

from dataclasses import dataclass

import torch
from torch import Tensor

DTYPES = {
    "b1": torch.bool,
    "u1": torch.uint8,
    "i1": torch.int8,
    "i2": torch.int16,
    "i4": torch.int32,
    "i8": torch.int64,
    "f2": torch.float16,
    "f4": torch.float32,
    "f8": torch.float64,
}


@dataclass(frozen=True)
class Array:
    """An array as it lies in the file.

    Attributes:
        kind: NumPy's short name of the type of a number, such as "f4"; always little-endian.
        shape: of the array.
        data: the bytes, as many as kind and shape say.
        by_columns: the first axis is the one that runs fastest (Fortran's order).

    Example:
        >>> Array("u1", (2, 2), bytes([1, 2, 3, 4])).tensor().tolist()
        [[1, 2], [3, 4]]
    """

    kind: str
    shape: tuple[int, ...]
    data: bytes
    by_columns: bool = False

    def tensor(self) -> Tensor:
        """Give the array as a tensor of its own."""
        if not self.data:
            return torch.empty(self.shape, dtype=DTYPES[self.kind])
        flat = torch.frombuffer(bytearray(self.data), dtype=DTYPES[self.kind])
        if not self.by_columns:
            return flat.reshape(self.shape)
        return flat.reshape(self.shape[::-1]).permute(*reversed(range(len(self.shape)))).contiguous()
