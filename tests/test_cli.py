"""The command line, as a person meets it: exit codes, one line on stderr, no traceback."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import saehd_reference
import torch
from small_model import met, small
from toy_folder import make_faces

import condswap
from condswap import demo
from condswap.cli import main
from condswap.errors import DataError
from condswap.evaluation import Fidelity
from condswap.pretrained import FILES

PROJECT = Path(__file__).resolve().parents[1]


def leave(arguments):
    """Run the command line and give its exit code, also where argparse leaves."""
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


@pytest.fixture
def calls(monkeypatch):
    """The demo, without the two minutes."""
    made = []

    def run(out, *, steps, seed, resume):
        made.append((out, steps, seed, resume))
        figures = Fidelity(reconstruction=0.9, swap=0.8125, unchanged=0.5, moved=0.75)
        return demo.Demo(
            fidelity=figures, swaps=out / "swaps.png", progress=out / "progress.png", model=out / "swapper"
        )

    monkeypatch.setattr(demo, "run", run)
    return made


def test_help_lists_the_commands(capsys):
    assert leave(["--help"]) == 0
    told = capsys.readouterr()
    assert "usage: condswap" in told.out
    assert "demo" in told.out
    assert told.err == ""


def test_help_of_a_command_names_its_options(capsys):
    assert leave(["demo", "--help"]) == 0
    told = capsys.readouterr().out
    assert [word for word in ("--out", "--steps", "--seed", "--resume", "2000") if word not in told] == []


def test_version_is_that_of_the_package(capsys):
    assert leave(["--version"]) == 0
    assert capsys.readouterr().out == f"condswap {condswap.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["demo", "--fly"], "--fly"),
        (["demo", "extra"], "extra"),
        (["demo", "--steps", "0"], "'0' is not a whole number from 1 up"),
        (["demo", "--steps", "-5"], "'-5' is not a whole number from 1 up"),
        (["demo", "--steps", "many"], "'many' is not a whole number from 1 up"),
        (["demo", "--steps", "1.5"], "'1.5' is not"),
        (["demo", "--steps"], "--steps"),
        (["demo", "--seed", "x"], "'x' is not"),
        (["demo", "--seed", "-1"], "'-1' is not"),
        (["demo", "--seed", str(2**70)], "is not a whole number from 0"),
    ],
)
def test_a_wrong_argument_exits_2_and_is_named(arguments, words, capsys, calls):
    assert leave(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert words in told.err
    assert "Traceback" not in told.err
    assert calls == []


def test_the_arguments_reach_the_demo_and_the_figures_are_printed(capsys, calls):
    assert leave(["demo", "--out", "there", "--steps", "7", "--seed", "3", "--resume"]) == 0
    assert calls == [(Path("there"), 7, 3, True)]
    told = capsys.readouterr()
    for figure in ("0.812", "0.500", "0.900", "75 %", "there/swaps.png", "there/progress.png", '"there/swapper"'):
        assert figure in told.out, told.out
    assert told.err == ""


def test_the_demo_has_defaults(calls):
    assert leave(["demo"]) == 0
    assert calls == [(Path("demo"), 2000, 0, False)]


def test_bad_input_exits_1_with_one_line(monkeypatch, capsys):
    def run(*args, **kwargs):
        raise DataError("the file\nis bad;   mend it")

    monkeypatch.setattr(demo, "run", run)
    assert leave(["demo"]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "condswap: the file is bad; mend it\n")


def test_an_out_that_cannot_be_written_exits_1_with_one_line_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert leave(["demo", "--out", str(tmp_path / "file" / "demo")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("condswap: ")
    assert told.err.count("\n") == 1
    assert str(tmp_path / "file") in told.err


def test_nothing_to_resume_exits_1_with_the_cure(tmp_path, capsys):
    assert leave(["demo", "--out", str(tmp_path), "--resume"]) == 1
    assert "leave --resume out" in capsys.readouterr().err


def test_ctrl_c_exits_130_and_says_how_to_go_on(monkeypatch, capsys):
    def run(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", run)
    assert leave(["demo", "--out", "my demo", "--steps", "9"]) == 130
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert "'my demo'/swapper" in told.err
    command = shlex.split(told.err.split("`")[1])
    assert command == ["condswap", "demo", "--out", "my demo", "--steps", "9", "--resume"]


def test_what_ctrl_c_recommends_is_a_command_that_resumes(calls):
    assert leave(["demo", "--out", "my demo", "--steps", "9", "--resume"]) == 0
    assert calls == [(Path("my demo"), 9, 0, True)]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    pytest.importorskip("PIL")
    folder = tmp_path_factory.mktemp("evaluated") / "faces"
    make_faces(folder, each=4)
    return folder


@pytest.fixture
def swapper(tmp_path):
    met(small(("biden", "trump"))).save_pretrained(tmp_path / "swapper", consent="Both agreed.")
    return tmp_path / "swapper"


@pytest.fixture
def quick_judge(monkeypatch):
    """Who is seen, without the seconds that it takes to learn it."""
    from condswap.evaluation import witness

    train = witness.train_judge
    monkeypatch.setattr(witness, "train_judge", lambda *given, **named: train(*given, **named, steps=2))


@pytest.mark.usefixtures("quick_judge")
def test_evaluate_prints_a_report_and_writes_it(swapper, faces, tmp_path, capsys):
    before = {name: (swapper / name).read_bytes() for name in FILES}
    files = tmp_path / "report.md", tmp_path / "report.json"
    given = ["evaluate", str(swapper), str(faces), "--limit", "6", "--out", str(files[0]), "--json", str(files[1])]
    assert leave(given) == 0
    told = capsys.readouterr()
    assert told.out.startswith("# Does it swap?\n\n**")
    assert "6 pictures of biden, trump (128 x 128 pixels" in told.out
    assert "come from the very pictures that are measured" in told.out
    assert all("%" in line for line in told.err.splitlines())  # how far it is, on a slow machine
    assert files[0].read_text(encoding="utf-8") == told.out
    assert json.loads(files[1].read_text(encoding="utf-8"))["pictures"] == 6
    assert {name: (swapper / name).read_bytes() for name in FILES} == before


@pytest.mark.usefixtures("quick_judge")
def test_evaluate_takes_known_pictures_and_an_earlier_model(swapper, faces, tmp_path, capsys):
    earlier = small(("biden", "trump"), seed=1)
    earlier.history = {"steps": 12}
    earlier.save_pretrained(tmp_path / "earlier")
    options = ["--known", str(faces), "--earlier", str(tmp_path / "earlier"), "--limit", "4"]
    assert leave(["evaluate", str(swapper), str(faces), *options]) == 0
    told = capsys.readouterr().out
    assert "come from the very pictures that are measured" not in told
    assert "12 steps" in told
    assert "since the earlier model" in told


@pytest.mark.usefixtures("quick_judge")
def test_evaluate_on_toy_faces_holds_against_the_exact_swap(swapper, capsys):
    assert leave(["evaluate", str(swapper), "toy", "--limit", "4"]) == 0
    told = capsys.readouterr().out
    assert "against the exact swap" in told
    assert "4 pictures of biden, trump (32 x 32 pixels)" in told


@pytest.mark.usefixtures("quick_judge")
def test_evaluate_puts_the_figures_into_the_card_and_leaves_the_rest(swapper, faces):
    weights = (swapper / "model.safetensors").read_bytes()
    assert leave(["evaluate", str(swapper), str(faces), "--limit", "4", "--card"]) == 0
    card = (swapper / "README.md").read_text(encoding="utf-8")
    assert "| verdict | It " in card
    assert "| on | 4 pictures of 2 classes, 128 x 128 pixels |" in card
    assert "Both agreed." in card
    assert (swapper / "model.safetensors").read_bytes() == weights
    model = condswap.CGAN.from_pretrained(swapper)
    assert model.history["measured on"] == "4 pictures of 2 classes, 128 x 128 pixels"
    assert leave(["evaluate", str(swapper), str(faces), "--limit", "2", "--card"]) == 0
    again = (swapper / "README.md").read_text(encoding="utf-8")
    assert "| on | 2 pictures of 2 classes, 128 x 128 pixels |" in again
    assert "| on | 4 pictures" not in again


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{swapper}", "{tmp}/nowhere"], "{tmp}/nowhere does not exist"),
        (["{tmp}/nowhere", "{faces}"], "there is no folder {tmp}/nowhere"),
        (["{swapper}", "{faces}", "--out", "{tmp}/no/report.md"], "there is no folder {tmp}/no"),
        (["{swapper}", "{faces}", "--json", "{tmp}"], "{tmp} is a folder"),
        (["{swapper}", "{faces}", "--identity", "{tmp}/none.onnx"], "there is no file {tmp}/none.onnx"),
        (["{swapper}", "toy", "--known", "{faces}"], "leave --known out"),
        (["user/model", "{faces}", "--card"], "leave --card out"),
    ],
)
def test_evaluate_with_bad_input_exits_1_with_one_line(arguments, words, swapper, faces, tmp_path, capsys):
    places = {"swapper": swapper, "faces": faces, "tmp": tmp_path}
    assert leave(["evaluate", *(one.format(**places) for one in arguments)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert words.format(**places) in told.err
    assert told.err.count("\n") == 1


def test_a_card_of_somebody_else_is_found_before_any_work(swapper, faces, capsys):
    (swapper / "README.md").write_text("# My own words")
    assert leave(["evaluate", str(swapper), str(faces), "--card"]) == 1
    assert "not a card of condswap's" in capsys.readouterr().err
    assert (swapper / "README.md").read_text() == "# My own words"


def test_new_footage_of_one_person_is_enough_where_the_others_are_known(swapper, faces, tmp_path, capsys):
    shutil.copytree(faces / "trump", tmp_path / "new" / "trump")
    facts = tmp_path / "facts.json"
    assert leave(["evaluate", str(swapper), str(tmp_path / "new"), "--known", str(faces), "--json", str(facts)]) == 0
    directions = json.loads(facts.read_text())["directions"]
    assert {(one["source"], one["to"]) for one in directions} == {("trump", "biden")}
    assert leave(["evaluate", str(swapper), str(tmp_path / "new")]) == 1
    assert "has no class 'biden'" in capsys.readouterr().err


def test_folders_of_other_people_are_refused_with_their_names(tmp_path, faces, capsys):
    small(("ann", "bob")).save_pretrained(tmp_path / "other")
    assert leave(["evaluate", str(tmp_path / "other"), str(faces)]) == 1
    assert "has no class 'ann', 'bob'; its classes are biden, trump" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["model"], ["model", "faces", "--limit", "0"], ["model", "faces", "extra"]])
def test_evaluate_with_a_wrong_argument_exits_2(arguments, capsys):
    assert leave(["evaluate", *arguments]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_ctrl_c_in_evaluate_says_that_nothing_was_written(monkeypatch, capsys):
    from condswap.evaluation import command

    def run(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", run)
    assert leave(["evaluate", "model", "faces"]) == 130
    assert "nothing was written" in capsys.readouterr().err


def test_the_installed_command_is_this_one():
    scripts = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, name = scripts["condswap"].split(":")
    assert getattr(import_module(module), name) is main


def as_a_person(*arguments, folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "condswap", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_python_m_condswap_is_the_same_program(tmp_path):
    (tmp_path / "file").write_text("mine")
    done = as_a_person("demo", "--out", "file/demo", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("condswap: file/demo cannot be made")
    assert done.stderr.count("\n") == 1
    wrong = as_a_person("fly", folder=tmp_path)
    assert wrong.returncode == 2
    assert "usage: condswap" in wrong.stderr


# DeepFaceLab in, ONNX and DFM out


def test_import_dfl_saves_a_model_whose_swap_is_the_merge(tmp_path, capsys):
    files = saehd_reference.weights("liae-ud", 64)
    saehd_reference.folder(tmp_path / "model", files, archi="liae-ud")
    given = ["import-dfl", str(tmp_path / "model"), str(tmp_path / "out"), "--classes", "anna,bob"]
    assert leave(given) == 0
    told = capsys.readouterr()
    assert "DeepFaceLab SAEHD liae-ud" in told.out
    assert told.err == ""
    model = condswap.CGAN.from_pretrained(tmp_path / "out")
    assert model.classes == ("anna", "bob")
    image = np.random.default_rng(0).random((1, 64, 64, 3), dtype=np.float32)
    wanted, _ = saehd_reference.run("liae-ud", files, image, "src")
    with torch.no_grad():
        found = model(torch.from_numpy(image).flip(-1).movedim(-1, 1), "anna").movedim(1, -1).flip(-1)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_import_dfl_refuses_a_broken_model_and_writes_nothing(tmp_path, capsys):
    folder = saehd_reference.folder(tmp_path / "model", saehd_reference.weights("df", 64), archi="df")
    (folder / "new_SAEHD_inter.npy").write_bytes(b"cos\nsystem\n(S'touch gone'\ntR.")
    assert leave(["import-dfl", str(folder), str(tmp_path / "out")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "new_SAEHD_inter.npy" in told.err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "swapper"
    torch.manual_seed(0)
    condswap.CGAN.default(32, classes=["anna", "bob"]).save_pretrained(folder)
    return folder


def outputs(file):
    return [
        one.name for one in onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).get_outputs()
    ]


def test_export_writes_onnx_or_dfm_by_the_name_of_the_file(saved, tmp_path, capsys):
    make_faces(tmp_path / "faces", each=3)
    for more, file in (
        (["--to", "anna=0.5,bob=0.5"], tmp_path / "both.onnx"),
        (["--to", "bob", "--morph", "--stranger", str(tmp_path / "faces" / "trump")], tmp_path / "bob.dfm"),
    ):
        assert leave(["export", str(saved), *more, str(file)]) == 0
        assert f"{file}, " in capsys.readouterr().out
    assert outputs(tmp_path / "both.onnx") == ["swapped", "mask"]
    assert outputs(tmp_path / "bob.dfm") == ["out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0"]


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--to", "bob", "swap.tflite"], 2, "ends neither in .onnx nor in .dfm"),
        (["--to", "bob=much", "swap.onnx"], 2, "is not NAME=WEIGHT"),
        (["swap.onnx"], 2, "--to"),
        (["--to", "bob", "--source", "anna", "--stranger", "faces/carl", "swap.dfm"], 2, "not allowed with"),
        (["--to", "carl", "swap.onnx"], 1, "there is no class 'carl'"),
        (["--to", "bob", "--morph", "swap.onnx"], 1, "--morph is an input of DFM files"),
        (["--to", "bob", "--stranger", "faces/carl", "swap.dfm"], 1, "faces"),
        (["--to", "bob", "nowhere/swap.dfm"], 1, "nowhere"),
    ],
)
def test_export_refuses_what_it_cannot_do(saved, more, code, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert leave(["export", str(saved), *more]) == code
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
