"""Pickles that want to run something, or to use up the machine, by kind; none of them may come through."""

import itertools
import pickle
import struct

COMMAND = "echo escaped"
WANTED = [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("subprocess", "check_output"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("__builtin__", "eval"),
    ("importlib", "import_module"),
    ("runpy", "run_path"),
    ("webbrowser", "open"),
    ("shutil", "rmtree"),
    ("pty", "spawn"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("numpy", "load"),
    ("numpy.testing._private.utils", "runstring"),
    ("numpy.f2py.diagnose", "run_command"),
    ("pickle", "loads"),
    ("_pickle", "loads"),
    ("marshal", "loads"),
    ("operator", "attrgetter"),
    ("functools", "partial"),
    ("types", "FunctionType"),
    ("codecs", "open"),
    ("condswap.files", "write_atomically"),
]


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _array(kind: bytes, shape: bytes, data: bytes) -> bytes:
    """An array of any type, shape and bytes."""
    blank = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tC\x01btR"
    dtype = (
        b"cnumpy\ndtype\n("
        + _text(kind.decode())
        + b"\x89\x88tR(K\x03"
        + _text("|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    )
    return b"\x80\x03" + blank + b"(K\x01" + shape + dtype + b"\x89B" + struct.pack("<I", len(data)) + data + b"tb."


def payloads() -> dict[str, list[bytes]]:
    """Give the payloads by kind."""
    kinds: dict[str, list[bytes]] = {}
    for module, name in WANTED:
        named = f"c{module}\n{name}\n".encode()
        stacked = _text(module) + _text(name) + b"\x93"
        call = _text(COMMAND)
        made = {
            "called by name": b"\x80\x03" + named + b"(" + call + b"tR.",
            "called by a name from the stack": b"\x80\x04" + stacked + call + b"\x85R.",
            "named and not called": b"\x80\x03" + named + b".",
            "made without a call": b"\x80\x03" + named + b"(" + call + b"t\x81.",
            "made with names of arguments": b"\x80\x04" + stacked + b")}\x92.",
            "instance": b"(" + call + f"i{module}\n{name}\n.".encode(),
            "object": b"(" + named + call + b"o.",
            "given a state": b"\x80\x03" + named + b"}" + _text("__setstate__") + named + b"sb.",
            "hidden in a dict of DeepFaceLab's": b"\x80\x03}(" + _text("face_type") + named + b"(" + call + b"tRu.",
        }
        for kind, payload in made.items():
            kinds.setdefault(kind, []).append(payload)
    kinds["dotted names"] = [
        b"\x80\x04" + _text(module) + _text(name) + b"\x93(" + _text(COMMAND) + b"tR."
        for module, name in [
            ("numpy", "ndarray.__init_subclass__"),
            ("numpy", "os.system"),
            ("numpy.core.multiarray", "_reconstruct.__globals__"),
            ("numpy", "dtype.__reduce__"),
            ("_codecs", "encode.__self__"),
            ("samplelib.Sample", "SampleType.__class__"),
        ]
    ]
    kinds["registered extension"] = [b"\x80\x02\x82\x01.", b"\x80\x02\x83\x01\0.", b"\x80\x02\x84\x01\0\0\0."]
    kinds["persistent"] = [b"Pos.system\n.", b"\x80\x02" + _text("os.system") + b"Q."]
    kinds["buffers"] = [b"\x80\x05\x97.", b"\x80\x05\x97\x98.", b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"."]
    kinds["arrays of objects"] = [
        _array(kind, shape, data)
        for kind, shape, data in itertools.product(
            (b"O8", b"O", b"V8", b"S8", b"U2", b"M8", b"|O", b""), (b"(K\x01t", b"(t"), (b"\0" * 8,)
        )
    ]
    kinds["arrays that lie about their size"] = [
        _array(b"u1", b"(" + side + b"t", b"1234")
        for side in (
            b"K\x05",
            b"J\xff\xff\xff\xff",
            b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f",
            b"\x8a\x09" + b"\xff" * 8 + b"\x7f",
            b"N",
        )
    ]
    kinds["known names, other arguments"] = [
        b"\x80\x03c_codecs\nencode\n(" + _text("a") + _text("hex") + b"tR.",
        b"\x80\x03c_codecs\nencode\n(" + _text("\u0100") + _text("latin1") + b"tR.",
        b"\x80\x03cnumpy\nndarray\n(J\xff\xff\xff\x7ftR.",
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(K\0tC\x01btR.",
        b"\x80\x03cnumpy.core.multiarray\nscalar\n(K\0C\x01btR.",
        b"\x80\x03cfacelib.FaceType\nFaceType\n(" + _text("x") + b"tR.",
        b"\x80\x03K\x01(K\x01tR.",
    ]
    kinds["lengths that are not there"] = [
        b"\x80\x04" + code + struct.pack(form, size) + b"x."
        for code, form, size in [
            (b"X", "<I", 2**32 - 1),
            (b"\x8d", "<Q", 2**62),
            (b"B", "<I", 2**32 - 1),
            (b"\x8e", "<Q", 2**40),
            (b"\x8b", "<i", 2**31 - 1),
            (b"\x8b", "<i", -1),
        ]
    ]
    doubled = b"".join(b"]q" + bytes([n + 1]) + b"(h" + bytes([n]) + b"h" + bytes([n]) + b"e" for n in range(60))
    kinds["one value in many places"] = [
        b"\x80\x03]q\0(K\1e" + doubled + b".",
        b"\x80\x03]q\0(h\0e.",
        b"\x80\x03}q\0" + _text("me") + b"h\0s.",
        b"\x80\x03(]]]tq\0(h\0h\0t.",
    ]
    kinds["deep"] = [
        b"\x80\x03" + b"]" * 50_000 + b"a" * 49_999 + b".",
        b"\x80\x03)" + b"\x85" * 60_000 + b".",
        b"\x80\x03" + b"(" * 60_000 + b"t" * 60_000 + b".",
        b"\x80\x03})" + b"\x85" * 60_000 + b"Ns.",
    ]
    kinds["many"] = [b"\x80\x03(" + b"]" * 1_200_000 + b"t.", b"\x80\x03(" + b"N" * 1_200_000 + b"t."]
    kinds["not whole"] = [
        pickle.dumps({"face_type": "head", "landmarks": [[1.0, 2.0]] * 9}, 4)[:end] for end in range(2, 90, 7)
    ]
    kinds["keys that are no words"] = [b"\x80\x03}(K\x01K\x02u.", b"\x80\x03}]Ns.", b"\x80\x03}(" + _text("a") + b"u."]
    kinds["out of turn"] = [
        b".",
        b"\x80\x03(.",
        b"\x80\x03NN.",
        b"\x80\x03t.",
        b"\x80\x03Nb.",
        b"\x80\x03(R.",
        b"\x80\x03h\x05.",
        b"",
        b"\x80\x03q\0.",
    ]
    kinds["text of old protocols"] = [
        b"I" + b"9" * 5000 + b"\n.",
        b"L" + b"9" * 5000 + b"L\n.",
        b"S'a'\n.",
        b"F1.5\n.",
        b"Va\n.",
        b"g0\n.",
    ]
    return kinds
