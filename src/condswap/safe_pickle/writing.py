"""Plain values as a pickle that old and new programs can read."""

import struct
from typing import Any

from condswap.errors import DataError
from condswap.safe_pickle.values import DTYPES, Array


def dumps(value: Any) -> bytes:
    """Write plain values as a pickle that Python 3.6 and NumPy 1.19, and whatever is newer, can read.

    Args:
        value: what `loads` gives.

    Raises:
        DataError: there is something else in it.

    Example:
        >>> from condswap.safe_pickle import loads
        >>> loads(dumps([None, True, 2**40, "a", b"b", (1.5,), Array("u1", (1,), b"c")]))
        [None, True, 1099511627776, 'a', b'b', (1.5,), Array(kind='u1', shape=(1,), data=b'c', by_columns=False)]
    """
    return b"\x80\x03" + _written(value) + b"."


def _written(value: Any) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int() if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        case int() if value.bit_length() < 8 * 255:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(data)]) + data
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            data = value.encode("utf-8", "surrogatepass")
            return b"X" + struct.pack("<I", len(data)) + data
        case bytes():
            return b"B" + struct.pack("<I", len(value)) + value
        case tuple():
            return b"(" + b"".join(map(_written, value)) + b"t"
        case list():
            return b"](" + b"".join(map(_written, value)) + b"e"
        case dict():
            return b"}(" + b"".join(_written(key) + _written(one) for key, one in value.items()) + b"u"
        case Array():
            return _written_array(value)
    raise DataError(f"a {type(value).__name__} cannot be written into a pickle of DeepFaceLab's")


def _written_array(array: Array) -> bytes:
    order = "|" if DTYPES[array.kind].itemsize == 1 else "<"
    dtype = b"cnumpy\ndtype\n" + _written((array.kind, False, True)) + b"R"
    dtype += _written((3, order, None, None, None, -1, -1, 0)) + b"b"
    state = [_written(1), _written(array.shape), dtype, _written(array.by_columns), _written(array.data)]
    # numpy.core and not numpy._core, which a NumPy before 2 does not know.
    blank = b"cnumpy.core.multiarray\n_reconstruct\n" + b"(cnumpy\nndarray\n" + _written((0,)) + _written(b"b") + b"tR"
    return blank + b"(" + b"".join(state) + b"tb"
