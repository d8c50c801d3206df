"""The reader of pickles: what DeepFaceLab writes comes through as plain values, and nothing else does anything."""

import math
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from dfl_files import facts
from hostile_pickles import payloads

from condswap.errors import DataError
from condswap.safe_pickle import Array, dumps, loads

HOSTILE = [(kind, number, payload) for kind, some in payloads().items() for number, payload in enumerate(some)]


def same(read: object, written: object) -> None:
    """Compare what was read with what NumPy and Python had."""
    if isinstance(written, np.ndarray):
        assert isinstance(read, Array)
        assert read.shape == written.shape
        assert np.array_equal(read.tensor().numpy(), written)
        assert read.tensor().numpy().dtype == written.dtype
    elif isinstance(written, dict):
        assert isinstance(read, dict)
        assert list(read) == list(written)
        for key, value in written.items():
            same(read[key], value)
    elif isinstance(written, list | tuple):
        assert type(read) is type(written)
        for one, other in zip(read, written, strict=True):
            same(one, other)
    else:
        assert type(read) is type(written)
        assert read == written


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_deepfacelab_writes_comes_back(protocol: int) -> None:
    written = facts(mask=np.eye(9, dtype=np.uint8) * 255)
    same(loads(pickle.dumps(written, protocol)), written)


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_arrays_of_every_kind_of_number_and_order(protocol: int, dtype: str) -> None:
    numbers = (np.arange(24) % 2 if dtype == "?" else np.arange(24) - (0 if dtype == "u1" else 12)).astype(dtype)
    for array in (
        numbers,
        numbers.reshape(2, 3, 4),
        np.asfortranarray(numbers.reshape(4, 6)),
        numbers[:0],
        numbers[0:1].reshape(()),
    ):
        same(loads(pickle.dumps(array, protocol)), array)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_plain_values_and_the_scalars_of_numpy(protocol: int) -> None:
    written = {
        "a": [None, True, False, 0, -1, 255, 2**31, -(2**70), 1.5, math.inf],
        "ü\ud800": ("", b"", b"\xff" * 300, (1, (2,))),
    }
    same(loads(pickle.dumps(written, protocol)), written)
    read = loads(pickle.dumps([np.int64(-5), np.float64(0.1), np.float32(0.5), np.bool_(True)], protocol))
    assert read == [-5, 0.1, 0.5, True]
    assert [type(one) for one in read] == [int, float, float, bool]


def test_words_and_shapes_may_come_again_but_nothing_that_holds_data() -> None:
    name, shape = "x" * 9, (4, 4)
    assert loads(pickle.dumps([name, shape, name, shape], 4)) == [name, shape, name, shape]
    shared = [1]
    with pytest.raises(DataError, match="one value in two places"):
        loads(pickle.dumps([shared, shared], 4))


def test_what_we_write_python_and_numpy_read() -> None:
    written = facts(mask=np.eye(9, dtype=np.uint8) * 255)
    ours = dumps(loads(pickle.dumps(written, 4)))
    back = pickle.loads(ours)
    assert list(back) == list(written)
    for key, value in written.items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(back[key], value)
            assert back[key].dtype == value.dtype
        elif key != "seg_ie_polys":
            assert back[key] == value
    assert np.array_equal(back["seg_ie_polys"]["polys"][0]["pts"], written["seg_ie_polys"]["polys"][0]["pts"])
    assert b"numpy.core.multiarray" in ours
    assert b"numpy._core" not in ours, "NumPy before 2 does not know this name"


def test_what_we_write_we_read() -> None:
    columns = loads(pickle.dumps(np.asfortranarray(np.arange(6).reshape(2, 3)), 4))
    written = [None, True, {"a": (1, -(2**40), 2**2000)}, b"bytes", "\ud800", -0.0, columns]
    assert loads(dumps(written)) == written
    assert pickle.loads(dumps(columns)).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(DataError, match="a set cannot be written"):
        dumps({1})


def test_rows_are_handed_over_as_they_come_and_only_their_results_are_kept() -> None:
    rows = [{"name": str(number), "data": [[float(number)] * 20] * 1} for number in range(5000)]
    pickled = pickle.dumps(rows, 4)
    assert loads(pickled, most=2**15, row=lambda row: int(row["name"])) == list(range(5000))
    with pytest.raises(DataError, match="more than 32768 values"):
        loads(pickled, most=2**15)


def test_a_row_is_a_tree_of_plain_values_too() -> None:
    seen: list[object] = []
    with pytest.raises(DataError, match="a name or an unfinished array"):
        loads(b"\x80\x03](cnumpy\nndarray\ne.", row=seen.append)
    assert seen == []


@pytest.mark.parametrize(
    ("kind", "number", "payload"), HOSTILE, ids=[f"{kind}-{number}" for kind, number, _ in HOSTILE]
)
def test_a_hostile_pickle_is_refused_with_a_reason(kind: str, number: int, payload: bytes) -> None:
    with pytest.raises(DataError) as caught:
        loads(payload)
    assert 5 < len(str(caught.value)) < 400


def test_the_corpus_is_large_enough() -> None:
    assert len(payloads()) >= 10
    assert len(HOSTILE) >= 200


WATCH = """
import sys
sys.path[:0] = {paths!r}
from hostile_pickles import payloads
from condswap.errors import DataError
from condswap.safe_pickle import loads
import pickle, pickletools
import encodings.raw_unicode_escape  # the codec of an old instruction, which Python would fetch when it is first read
seen = []
QUIET = {{"object.__getattr__", "sys._getframe"}}
sys.addaudithook(lambda event, arguments: seen.append((event, *map(str, arguments))) if event not in QUIET else None)
refused = 0
for some in payloads().values():
    for payload in some:
        try:
            loads(payload)
        except DataError:
            refused += 1
told = list(seen)
try:
    pickle.loads(payloads()["called by name"][0])
finally:
    control = len(seen) > len(told) and "pickle.find_class" in [event for event, *_ in seen]
    sys.stdout.write(f"{{refused}} {{told}} {{control}}")
"""


def test_not_one_of_them_imports_opens_or_runs_anything() -> None:
    paths = [str(Path(__file__).parent), *sys.path]
    done = subprocess.run([sys.executable, "-c", WATCH.format(paths=paths)], capture_output=True, text=True)
    # The last one is run on purpose, by pickle: its command writes a line, and the watch sees it.
    assert done.stdout == f"escaped\n{len(HOSTILE)} [] True", done


@pytest.mark.parametrize("kind", sorted(payloads()))
def test_memory_is_bounded_by_the_size_of_the_file(kind: str) -> None:
    for payload in payloads()[kind]:
        tracemalloc.start()
        with pytest.raises(DataError):
            loads(payload)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 200 * len(payload) + 100_000


def test_an_array_is_a_tensor_of_its_own() -> None:
    array = loads(pickle.dumps(np.zeros(3, np.float32), 4))
    array.tensor()[0] = 1
    assert torch.equal(array.tensor(), torch.zeros(3))
