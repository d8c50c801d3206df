"""The page without a browser: what it refuses, what it writes, and whom it lets do what."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
from small_model import met, pictures, small

from condswap.app import build, serve
from condswap.app.page import require_gradio
from condswap.app.serving import _free_port, _is_own
from condswap.app.swapping import Swapper, Wish
from condswap.cli import main
from condswap.errors import CondswapError, ConfigError, DataError
from condswap.pictures import read_picture, save_picture
from condswap.provenance import verify

SPACE = Path(__file__).resolve().parents[1] / "examples" / "space"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, another one of the same people, and pictures: a face of their size, one twice as large, and a photo."""
    there = tmp_path_factory.mktemp("app")
    met(small(size=(32, 32))).save_pretrained(there / "one")
    met(small(size=(32, 32), seed=5)).save_pretrained(there / "two")
    save_picture(pictures(1)[0], there / "face.png")
    save_picture(pictures(1, size=(64, 64))[0], there / "large.png")
    save_picture(pictures(1, size=(48, 64))[0], there / "photo.jpg")
    return there


@pytest.fixture
def out(tmp_path):
    made = tmp_path / "out"
    made.mkdir()
    return made


def swapped(folder, out, *, model="one", name="face.png", swapper=None, **wish):
    swapper = swapper or Swapper(device="cpu", detector="nowhere.onnx")
    return swapper.swap(str(folder / model), folder / name, out, Wish(**{"to": "bob", **wish}))


def built(*model, **settings):
    """Build a page in an event loop: without one Gradio makes one, and never closes it."""

    async def make():
        return build(*model, device="cpu", **settings)

    return asyncio.run(make())


class TestTheWish:
    @pytest.mark.parametrize(
        ("second", "share", "label"),
        [
            (None, 0.0, "anna"),
            (None, 0.7, "anna"),
            ("bob", 0.0, "anna"),
            ("bob", 1.0, "bob"),
            ("anna", 0.3, "anna"),
            ("bob", 0.25, {"anna": 0.75, "bob": 0.25}),
        ],
    )
    def test_label(self, second, share, label):
        assert Wish(to="anna", second=second, share=share).label == label


class TestSwapping:
    @pytest.mark.parametrize(
        ("wish", "options"),
        [
            ({}, []),
            ({"colours_follow": False}, ["--colour", "none"]),
            ({"source": "anna"}, ["--source", "anna"]),
            ({"second": "anna", "share": 0.25}, ["--to", "bob=0.75,anna=0.25"]),
        ],
    )
    def test_it_writes_what_the_command_writes(self, folder, out, tmp_path, wish, options):
        written, same = swapped(folder, out, **wish), tmp_path / "same.png"
        given = [str(folder / "one"), str(folder / "face.png"), "--out", str(same)]
        assert main(["swap", *given, "--to", "bob", *options]) == 0
        assert written.name == "face-swapped.png"
        assert written.read_bytes() == same.read_bytes()
        assert not torch.equal(read_picture(written), read_picture(folder / "face.png"))

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
    def test_the_file_is_marked_and_of_the_same_kind(self, folder, out, tmp_path, suffix):
        save_picture(pictures(1)[0], tmp_path / f"face{suffix}")
        written = swapped(tmp_path, out, model=folder / "one", name=f"face{suffix}")
        assert written.suffix == suffix.lower()
        assert verify(written).synthetic

    def test_a_blend_with_nothing_of_the_second_is_the_first_alone(self, folder, out, tmp_path):
        blend = swapped(folder, out, to="anna", second="bob", share=0.0).read_bytes()
        half = swapped(folder, out, to="anna", second="bob", share=0.5).read_bytes()
        assert blend == swapped(folder, out, to="anna").read_bytes()
        assert half not in (blend, swapped(folder, out, to="bob").read_bytes())

    def test_a_face_that_was_cut_out_is_not_searched(self, folder, out):
        # Of another size than the model's: without the word it is a photo, and the detector is missing here.
        with pytest.raises(DataError, match=r"there is no file nowhere\.onnx; give the right one with --detector"):
            swapped(folder, out, name="large.png")
        written = swapped(folder, out, name="large.png", is_cut=True)
        assert read_picture(written).shape == (3, 64, 64)

    def test_a_face_that_was_cut_out_is_square(self, folder, out):
        with pytest.raises(DataError, match=r"^photo\.jpg is 64 x 48, and a face that is cut out already is square"):
            swapped(folder, out, name="photo.jpg", is_cut=True)

    def test_a_picture_without_a_face(self, folder, out, monkeypatch):
        class Blind:
            def __init__(self, detector):
                pass

            def find(self, frame):
                return []

            def config(self):
                return {}

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

        monkeypatch.setattr("condswap.app.swapping.FaceFinder", Blind)
        with pytest.raises(DataError, match=r"^no face that was meant was found in photo\.jpg; nothing was written$"):
            swapped(folder, out, name="photo.jpg")
        assert list(out.iterdir()) == []

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("text.png", b"not a picture", "cannot use text.png: "),
            ("empty.jpg", b"", "cannot use empty.jpg: "),
            ("film.mp4", b"", "film.mp4 is none of "),
            ("page.svg", b"<svg/>", "page.svg is none of "),
            ("none.png", None, "the picture is no longer here"),
        ],
    )
    def test_what_is_no_picture_is_refused_without_the_folders_name(self, folder, out, tmp_path, name, content, words):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError) as caught:
            swapped(tmp_path, out, model=folder / "one", name=name)
        assert str(caught.value).startswith(words)
        assert os.sep not in str(caught.value)
        assert list(out.iterdir()) == []

    def test_a_mask_that_lies_beside_an_upload_is_not_taken(self, folder, out, tmp_path):
        (tmp_path / "face.png").write_bytes((folder / "face.png").read_bytes())
        save_picture(torch.zeros(1, 32, 32), tmp_path / "face.mask.png")  # would leave the picture as it is
        written = swapped(tmp_path, out, model=folder / "one")
        assert written.read_bytes() == swapped(folder, tmp_path).read_bytes()

    def test_several_at_once_do_not_mix(self, folder, tmp_path):
        swapper = Swapper(device="cpu")
        asked = [(model, to) for model in ("one", "two") for to in ("anna", "bob")] * 3
        alone = {key: swapped(folder, tmp_path, model=key[0], to=key[1]).read_bytes() for key in set(asked)}
        assert len(set(alone.values())) == 4
        made = {}

        def visit(number):
            own = tmp_path / str(number)
            own.mkdir()
            model, to = asked[number]
            made[number] = swapped(folder, own, model=model, to=to, swapper=swapper).read_bytes()

        visitors = [threading.Thread(target=visit, args=(number,)) for number in range(len(asked))]
        for one in visitors:
            one.start()
        for one in visitors:
            one.join()
        assert [made[number] == alone[key] for number, key in enumerate(asked)] == [True] * len(asked)


class TestLoading:
    def test_a_model_that_was_saved_anew_is_loaded_anew(self, tmp_path):
        swapper = Swapper(device="cpu")
        small(["anna", "bob"]).save_pretrained(tmp_path / "model")
        assert swapper.load(str(tmp_path / "model")).classes == ("anna", "bob")
        small(["carl", "dora"]).save_pretrained(tmp_path / "model")
        assert swapper.load(str(tmp_path / "model")).classes == ("carl", "dora")

    def test_few_models_are_kept(self, tmp_path):
        swapper = Swapper(device="cpu")
        for number in range(5):
            small().save_pretrained(tmp_path / str(number))
            swapper.load(str(tmp_path / str(number)))
        assert [Path(name).name for name in swapper._models] == ["2", "3", "4"]

    @pytest.mark.parametrize("name", ["", "  ", "nowhere/at/all"])
    def test_what_is_no_model_is_refused(self, name):
        with pytest.raises(CondswapError):
            Swapper(device="cpu").load(name)


class TestThePage:
    def test_without_gradio_the_error_names_the_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "gradio", None)
        with pytest.raises(ConfigError, match=re.escape('pip install "condswap[app]"')):
            require_gradio()

    def test_a_page_needs_a_model_or_a_field_for_it(self):
        with pytest.raises(ConfigError, match="give the model"):
            build()

    def test_models_can_be_loaded_only_where_that_is_allowed(self, folder):
        def named(page):
            return {getattr(block, "elem_id", None) for block in page.blocks.values()} & {"model", "load"}

        fixed, free = built(str(folder / "one")), built(may_load=True)
        assert named(fixed) == set()
        assert named(free) == {"model", "load"}
        assert "load" not in {event.name for event in fixed.fns.values()}
        assert "load" in {event.name for event in free.fns.values()}

    def test_programs_find_nothing_to_call(self, folder):
        page = built(str(folder / "one"), may_load=True)
        page.config = page.get_config_file()
        assert page.get_api_info() == {"named_endpoints": {}, "unnamed_endpoints": {}}

    def test_the_folder_of_a_fixed_model_is_not_shown(self, folder):
        page = built(str(folder / "one"))
        assert str(folder) not in str(page.get_config_file())


class TestServing:
    @pytest.mark.parametrize(
        ("host", "own"),
        [
            ("127.0.0.1", True),
            ("127.0.0.2", True),
            ("localhost", True),
            ("::1", True),
            ("0.0.0.0", False),
            ("::", False),
            ("192.168.1.5", False),
            ("localhost.example.com", False),
            ("", False),
        ],
    )
    def test_which_addresses_are_of_this_machine_alone(self, host, own):
        assert _is_own(host) is own

    def test_others_are_let_in_only_to_a_model_that_was_named(self, capsys):
        assert main(["app", "--host", "0.0.0.0"]) == 1
        told = capsys.readouterr().err
        assert "condswap app MODEL --host 0.0.0.0" in told
        assert "Traceback" not in told

    def test_a_model_that_is_not_there(self, capsys, tmp_path):
        assert main(["app", str(tmp_path / "nowhere"), "--no-browser"]) == 1
        assert capsys.readouterr().err.startswith("condswap: ")

    def test_a_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(ConfigError, match="leave --port out"):
                serve(None, port=taken.getsockname()[1], browser=False)

    @pytest.mark.parametrize("port", [70000, 2**40])
    def test_a_port_that_cannot_be(self, port):
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 cannot be used"):
            _free_port("127.0.0.1", port)

    @pytest.mark.parametrize("host", ["no such host", "192.0.2.1"])  # the second is kept for examples, so nobody's
    def test_a_host_that_is_not_ours(self, host):
        with pytest.raises(ConfigError, match="--host|cannot be used|can be used"):
            _free_port(host, None)


class TestTheSpace:
    @pytest.mark.skipif(os.name != "posix", reason="ends it as Ctrl-C does")
    def test_it_serves_its_one_model(self, folder, tmp_path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        surroundings = {
            **os.environ,
            "CONDSWAP_MODEL": str(folder / "one"),
            "GRADIO_SERVER_PORT": str(port),
            "TMPDIR": str(tmp_path),
        }
        with subprocess.Popen(
            [sys.executable, "-u", str(SPACE / "app.py")],
            env=surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as space:
            try:
                assert space.stdout is not None
                assert f":{port}/" in space.stdout.readline()
                own = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                with own.open(f"http://127.0.0.1:{port}/config") as answer:
                    config = answer.read().decode()
            finally:
                space.send_signal(signal.SIGINT)
        assert "anna" in config
        assert str(folder) not in config
        assert '"load"' not in config
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        assert list(tmp_path.glob("condswap-*")) == []

    def test_its_card_says_what_it_needs(self):
        front = (SPACE / "README.md").read_text(encoding="utf-8").split("---")[1]
        told = dict(line.split(": ", 1) for line in front.strip().splitlines() if ": " in line)
        assert told["sdk"] == "gradio"
        assert told["app_file"] == "app.py"
        assert (SPACE / told["app_file"]).is_file()
        assert told["sdk_version"].split(".")[0] == "6"
        assert "condswap[app,video]" in (SPACE / "requirements.txt").read_text(encoding="utf-8")
