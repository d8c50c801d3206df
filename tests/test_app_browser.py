"""The page as a person uses it, in a browser: `condswap app`, and Chromium that clicks on it."""

import shutil
import urllib.error
import urllib.request
from importlib.util import find_spec

import pytest
from app_server import CHROMIUM, AppServer, choose, chromium, swap, upload
from small_model import met, pictures, small

from condswap.app.swapping import Swapper, Wish
from condswap.pictures import read_picture, save_picture
from condswap.provenance import verify

pytestmark = [
    pytest.mark.skipif(find_spec("playwright") is None, reason="needs playwright: pip install playwright"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models, and pictures of a face of their size."""
    there = tmp_path_factory.mktemp("browser")
    met(small(size=(64, 64))).save_pretrained(there / "one")
    met(small(["carl", "dora"], size=(64, 64), seed=5)).save_pretrained(there / "two")
    save_picture(pictures(1, size=(64, 64))[0], there / "face.png")
    save_picture(pictures(1, size=(48, 64), seed=2)[0], there / "photo.jpg")
    (there / "text.png").write_text("not a picture")
    return there


@pytest.fixture(scope="module")
def server(folder):
    served = AppServer(folder, "--detector", "nowhere.onnx")
    yield served
    served.stop()


@pytest.fixture(scope="module")
def window():
    with chromium() as started:
        yield started.new_context(locale="en-GB", viewport={"width": 1000, "height": 1000})


@pytest.fixture
def visit(window, server):
    """Opens the page for one more visitor; at the end, no visitor's page has asked anything of another machine."""
    pages, asked = [], []

    def open_page():
        page = window.new_page()
        pages.append(page)
        page.set_default_timeout(15_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url)
        page.wait_for_selector("#swap")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert asked
    assert [url for url in asked if not url.startswith((server.url, "data:", f"blob:{server.url}"))] == []


def load(page, name):
    page.fill("#model textarea, #model input", name)
    page.click("#load")


@pytest.fixture
def page(visit):
    """The page with a model and a face."""
    page = visit()
    load(page, "one")
    page.wait_for_selector("#people >> text=anna, bob")
    return page


def downloaded(page, folder):
    with page.expect_download() as waiting:
        page.click("#download")
    kept = folder / waiting.value.suggested_filename
    shutil.copyfile(waiting.value.path(), kept)
    return kept


def said(page):
    return page.inner_text("#said .said")


def expected(folder, out, **wish):
    out.mkdir(exist_ok=True)
    made = Swapper(device="cpu").swap(str(folder / "one"), folder / "face.png", out, Wish(**wish))
    return made.read_bytes()


def test_a_swap_from_the_models_folder_to_the_file(page, folder, tmp_path):
    upload(page, folder / "face.png")
    swap(page)
    assert said(page) == "anna, in face-swapped.png, which is marked as made by a model."
    kept = downloaded(page, tmp_path)
    assert kept.name == "face-swapped.png"
    assert verify(kept).synthetic
    assert kept.read_bytes() == expected(folder, tmp_path / "out", to="anna")
    assert (read_picture(kept) - read_picture(folder / "face.png")).abs().max() > 0.1
    # What is shown is that file, too: also who saves it by the right button of the mouse has the mark.
    assert page.request.get(page.get_attribute("#result img", "src")).body() == kept.read_bytes()


def test_a_blend(page, folder, tmp_path):
    upload(page, folder / "face.png")
    choose(page, "second", "bob")
    page.wait_for_selector("#percent input[type=number]:enabled")
    for percent, label in (("0", "anna"), ("30", "70% anna and 30% bob")):
        page.fill("#percent input[type=number]", percent)
        page.press("#percent input[type=number]", "Enter")
        swap(page)
        assert said(page).startswith(f"{label}, in ")
        wish = {"to": "anna", "second": "bob", "share": int(percent) / 100}
        assert downloaded(page, tmp_path).read_bytes() == expected(folder, tmp_path / "out", **wish)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("text.png", "cannot use text.png: "),
        ("photo.jpg", "there is no file nowhere.onnx; give the right one with --detector"),
    ],
)
def test_what_cannot_be_used_is_told_and_the_page_goes_on(page, folder, tmp_path, name, words):
    upload(page, folder / name)
    swap(page)
    assert said(page).startswith(words)
    page.click('#picture button[aria-label="Remove Image"]')
    upload(page, folder / "face.png")
    swap(page)
    assert downloaded(page, tmp_path).read_bytes() == expected(folder, tmp_path / "out", to="anna")


def test_a_model_that_cannot_be_loaded_is_told_and_the_other_one_stays(page, folder):
    load(page, "nowhere/at/all")
    page.wait_for_selector("#said .said.bad")
    assert "nowhere/at/all" in said(page)
    upload(page, folder / "face.png")
    swap(page)
    assert said(page).startswith("anna, in ")


def test_without_a_model_or_a_picture_it_says_what_to_do(visit, folder):
    page = visit()
    swap(page)
    assert said(page) == "load a model first"
    load(page, "one")
    page.wait_for_selector("#people >> text=anna, bob")
    swap(page)
    assert said(page).startswith("give a picture first")


def test_a_swap_of_another_picture_does_not_stay(page, folder):
    upload(page, folder / "face.png")
    swap(page)
    page.wait_for_selector("#result img")
    page.click('#picture button[aria-label="Remove Image"]')
    page.wait_for_selector("#result img", state="detached")
    assert page.is_disabled("#download")


def test_two_visitors_do_not_mix(page, visit, folder, tmp_path):
    other = visit()
    load(other, "two")
    other.wait_for_selector("#people >> text=carl, dora")
    for one in (page, other):
        upload(one, folder / "face.png")
    for one in (other, page):
        swap(one)
    assert said(other).startswith("carl, in ")
    assert downloaded(page, tmp_path).read_bytes() == expected(folder, tmp_path / "out", to="anna")


def test_another_name_for_this_machine_is_not_answered(server):
    own = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError, match="400"):
        own.open(urllib.request.Request(server.url, headers={"Host": "elsewhere.example"}))


def test_ctrl_c_ends_it_and_leaves_nothing(server):  # the last: it ends the server of all tests
    assert list(server.temporary.glob("condswap-*")) != []
    server.stop()
    assert server.status == 130
    assert server.asked() <= {"127.0.0.1", "localhost", "::1"}  # nor has the program asked another machine for anything
    assert server.told.strip().startswith("condswap: stopped; ")
    assert server.told.strip().count("\n") == 0  # and no traceback of all that was refused
    assert list(server.temporary.glob("condswap-*")) == []
