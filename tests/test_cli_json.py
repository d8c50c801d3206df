"""What came of a command, for a program: `--json`, and what a pipe gets."""

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import saehd_reference
from small_model import met, small
from toy_folder import make_faces

from condswap import demo, pipeline, train
from condswap.cli import faces as faces_commands
from condswap.cli import main
from condswap.cli.arguments import parser
from condswap.cli.completion import commands
from condswap.cli.outcome import STDOUT, Outcome, tell
from condswap.errors import DataError
from condswap.evaluation import Fidelity

ROOT = Path(__file__).resolve().parents[1]


def strict(text):
    """Read JSON as the standard has it, without NaN and Infinity."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def keys(facts):
    """The keys of facts, and of what lies in them, but not those that are names of files, people or figures."""
    own = {"faces", "faces_left_out", "history", "report"}
    return {key: keys(value) if isinstance(value, dict) and key not in own else None for key, value in facts.items()}


@pytest.fixture(scope="module")
def on_the_page():
    spec = importlib.util.spec_from_file_location("command_line", ROOT / "docs" / "command_line.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FACTS


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    make_faces(folder / "faces", each=4)
    met(small(("biden", "trump"))).save_pretrained(folder / "swapper")
    return folder


@pytest.fixture
def here(place, monkeypatch):
    """The names are as they are typed."""
    monkeypatch.chdir(place)
    return place


def asked(capsys, *words, status=0):
    """Run a command with `--json -` and give the object."""
    assert main([*words, "--json", "-"]) == status
    return strict(capsys.readouterr().out)


def test_demo(on_the_page, monkeypatch, capsys):
    def run(out, *, steps, seed, resume):
        figures = Fidelity(reconstruction=0.9, swap=0.8125, unchanged=0.5, moved=float("nan"))
        return demo.Demo(fidelity=figures, swaps=out / "s.png", progress=out / "p.png", model=out / "swapper")

    monkeypatch.setattr(demo, "run", run)
    told = asked(capsys, "demo", "--out", "there", "--steps", "7", "--seed", "3")
    assert told == {
        "model": "there/swapper",
        "swaps": "there/s.png",
        "progress": "there/p.png",
        "steps": 7,
        "seed": 3,
        "figures": {"reconstruction": 0.9, "swap": 0.8125, "unchanged": 0.5, "moved": None},
    }
    assert keys(told) == keys(on_the_page["demo"])


def test_extract(on_the_page, monkeypatch, tmp_path, capsys):
    (tmp_path / "clip.mp4").touch()
    made = pipeline.Extracted(
        faces={Path("f/anna"): 7},
        left_out={"of other people": 14, "not sharp": 0},
        unreadable=[(Path("b.jpg"), "it is empty")],
    )
    monkeypatch.setattr(pipeline, "extract", lambda *given, **named: made)
    monkeypatch.setattr(faces_commands, "finder", lambda *given, **named: nullcontext())
    told = asked(capsys, "extract", str(tmp_path / "clip.mp4"), "--out", "f/anna")
    assert told == {
        "faces": {"f/anna": 7},
        "size": 256,
        "faces_left_out": {"of other people": 14, "not sharp": 0},
        "left_out": [{"path": "b.jpg", "reason": "it is empty"}],
    }
    assert keys(told) == keys(on_the_page["extract"])


def test_train(on_the_page, monkeypatch, tmp_path, capsys):
    report = SimpleNamespace(verdict="It swaps.", to_dict=lambda: {"verdict": "It swaps.", "pictures": 3})
    made = train.Trained(
        report=report,
        model=Path("run/swapper"),
        swaps=Path("run/s.png"),
        report_file=Path("run/r.md"),
        left_out=[(Path("faces/anna/b.jpg"), "it is empty")],
    )
    monkeypatch.setattr(train, "run", lambda *given, **named: made)
    told = asked(capsys, "train", "faces", "--out", "run", "--steps", "5")
    assert told == {
        "model": "run/swapper",
        "swaps": "run/s.png",
        "report_file": "run/r.md",
        "steps": 5,
        "seed": 0,
        "left_out": [{"path": "faces/anna/b.jpg", "reason": "it is empty"}],
        "report": {"verdict": "It swaps.", "pictures": 3},
    }
    assert keys(told) == keys(on_the_page["train"])
    # The others of several processes say nothing and write nothing.
    monkeypatch.setattr(train, "run", lambda *given, **named: None)
    assert main(["train", "faces", "--out", "run", "--json", str(tmp_path / "facts.json")]) == 0
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "facts.json").exists()


def test_pack(on_the_page, here, capsys):
    told = asked(capsys, "pack", "faces", "faces.safetensors", "--size", "32")
    size = (here / "faces.safetensors").stat().st_size
    assert told == {
        "file": "faces.safetensors",
        "bytes": size,
        "pictures": 8,
        "classes": ["biden", "trump"],
        "size": 32,
        "left_out": [],
    }
    assert keys(told) == keys(on_the_page["pack"])


def test_swap(on_the_page, here, tmp_path, capsys):
    given = tmp_path / "given"
    given.mkdir()
    for name in ("000.png", "000.mask.png"):
        (given / name).write_bytes((here / "faces" / "biden" / name).read_bytes())
    (given / "broken.jpg").write_bytes(b"nonsense")
    out = tmp_path / "out"
    told = asked(capsys, "swap", "swapper", str(given), "--to", "trump", "--out", str(out))
    assert told["files"] == [str(out / "000.png")]
    assert [one["path"] for one in told["left_out"]] == [str(given / "broken.jpg")]
    assert told["untouched"] == told["lacking"] == []
    assert keys(told) == keys(on_the_page["swap"])
    sheet = tmp_path / "sheet.png"
    picture = str(given / "000.png")
    told = asked(capsys, "swap", "swapper", picture, "--to", "trump", "--out", "no.png", "--preview", str(sheet))
    assert told == {"preview": str(sheet), "moments": 1}


def test_export(on_the_page, here, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    file = tmp_path / "both.onnx"
    told = asked(capsys, "export", "swapper", "--to", "biden=0.25,trump=0.75", str(file))
    assert told["to"] == {"biden": 0.25, "trump": 0.75}
    assert (told["file"], told["bytes"]) == (str(file), file.stat().st_size)
    assert keys({**told, "to": "trump"}) == keys(on_the_page["export"])


def test_import_dfl(on_the_page, tmp_path, capsys):
    saehd_reference.folder(tmp_path / "model", saehd_reference.weights("df", 64), archi="df")
    told = asked(capsys, "import-dfl", str(tmp_path / "model"), str(tmp_path / "out"))
    assert (told["model"], told["classes"], told["size"]) == (str(tmp_path / "out"), ["src", "dst"], 64)
    assert keys(told) == keys(on_the_page["import-dfl"])


def test_doctor_keeps_its_object_and_its_status(here, capsys):
    told = asked(capsys, "doctor", "faces")
    assert (told["can_train"], [person["name"] for person in told["people"]]) == (True, ["biden", "trump"])
    (here / "hollow" / "a").mkdir(parents=True)
    told = asked(capsys, "doctor", "hollow", status=1)
    assert told["can_train"] is False


def test_evaluate_gives_to_standard_output_what_it_writes_to_a_file(here, monkeypatch, capsys):
    from condswap.evaluation import witness

    learn = witness.train_judge
    monkeypatch.setattr(witness, "train_judge", lambda *given, **named: learn(*given, **named, steps=2))
    told = asked(capsys, "evaluate", "swapper", "faces", "--limit", "4")
    assert told["pictures"] == 4
    assert main(["evaluate", "swapper", "faces", "--limit", "4", "--json", "facts.json"]) == 0
    assert capsys.readouterr().out.startswith("# Does it swap?")
    assert strict((here / "facts.json").read_text()) == told


def test_verify_prints_its_object_and_keeps_its_status(here, capsys):
    assert main(["verify", "faces/biden/000.png", "--json"]) == 1
    told = strict(capsys.readouterr().out)
    assert told == {"path": "faces/biden/000.png", "synthetic": False, "invalid": False, "xmp": None, "c2pa": None}


def test_a_command_that_fails_writes_no_facts(here, capsys):
    before = (here / "kept.json").write_text("before")
    assert main(["pack", "nowhere", "no.safetensors", "--json", "kept.json"]) == 1
    assert (here / "kept.json").stat().st_size == before
    assert capsys.readouterr().out == ""


def with_json():
    known = commands(parser()).choices
    return [name for name in known if "--json" in known[name]._option_string_actions and name != "verify"]


WORDS = {
    "demo": ["demo"],
    "extract": ["extract", "nowhere", "--out", "f/a"],
    "doctor": ["doctor", "nowhere"],
    "pack": ["pack", "nowhere", "f.safetensors"],
    "train": ["train", "nowhere", "--out", "run"],
    "swap": ["swap", "nowhere", "in.png", "--to", "a", "--out", "out.png"],
    "evaluate": ["evaluate", "nowhere", "faces"],
    "export": ["export", "nowhere", "--to", "a", "f.onnx"],
    "import-dfl": ["import-dfl", "nowhere", "out"],
}


@pytest.mark.parametrize("name", with_json())
def test_a_place_for_the_facts_that_is_none_is_found_out_before_the_work(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for given, words in (
        (str(tmp_path), f"{tmp_path} is a folder; give the name of a file in it"),
        ("no/facts.json", "no/facts.json cannot be written: there is no folder no; make it first"),
        (os.devnull, "is a device or a pipe, not a file"),
    ):
        assert main([*WORDS[name], "--json", given]) == 1
        told = capsys.readouterr()
        assert words in told.err
        assert (told.err.count("\n"), told.out) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_facts_may_lie_in_the_folder_that_the_command_makes(here, capsys):
    saehd_reference.folder(here / "dfl", saehd_reference.weights("df", 64), archi="df")
    assert main(["import-dfl", "dfl", "made", "--json", "made/facts.json"]) == 0
    assert strict((here / "made" / "facts.json").read_text())["model"] == "made"
    assert "CGAN.from_pretrained" in capsys.readouterr().out


# What is written, and to where


def test_facts_are_strict_json_and_the_words_stay(tmp_path, capsys):
    file = tmp_path / "facts.json"
    facts = {"number": float("inf"), "at": Path("a/b"), "some": (1, True, None, {"x": float("nan")})}
    tell(Outcome(words="done\n", facts=facts), file)
    assert capsys.readouterr().out == "done\n"
    assert strict(file.read_text()) == {"number": None, "at": "a/b", "some": [1, True, None, {"x": None}]}
    assert list(tmp_path.iterdir()) == [file]
    tell(Outcome(words="done\n", facts={"a": 1}), STDOUT)
    assert strict(capsys.readouterr().out) == {"a": 1}


def test_names_that_no_letters_stand_for_are_told(tmp_path, capsys, monkeypatch):
    name = os.fsdecode(b"\xff\xe9.png")
    tell(Outcome(words=f"wrote {name}\n"), None)
    assert capsys.readouterr().out == "wrote \\udcff\\udce9.png\n"
    tell(Outcome(words="", facts={"file": Path(name)}), STDOUT)
    assert strict(capsys.readouterr().out)["file"] == name


def test_without_a_standard_output_nothing_breaks(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    tell(Outcome(words="done\n"), None)


class Full:
    """A stream on a disk that is full, or whose reader has left."""

    encoding = "utf-8"

    def __init__(self, error):
        self.error = error

    def write(self, text):
        raise self.error

    def fileno(self):
        raise ValueError("none")


def test_a_full_disk_is_told_and_a_reader_who_left_is_not(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Full(BrokenPipeError()))
    tell(Outcome(words="done\n"), None)
    monkeypatch.setattr(sys, "stdout", Full(OSError(28, "No space left on device")))
    with pytest.raises(DataError, match="could not write to standard output: No space left on device; send it"):
        tell(Outcome(words="done\n"), None)


def test_the_status_is_kept_where_the_reader_has_left(place):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "condswap", "verify", "faces/biden/000.png"],
        cwd=place, stdout=writing, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")  # not marked as synthetic


# Bad input that was found late, or not at all


def test_an_identity_network_that_is_not_there_is_found_out_before_the_training(here, monkeypatch, capsys):
    monkeypatch.setattr(train, "Trainer", lambda *given, **named: pytest.fail("it trains"))
    assert main(["train", "faces", "--out", "run", "--identity", "nowhere.onnx"]) == 1
    assert "there is no file nowhere.onnx" in capsys.readouterr().err
    assert not (here / "run").exists()


def test_pictures_that_are_not_there_are_found_out_before_a_network_is_fetched(here, monkeypatch, capsys):
    monkeypatch.setattr(faces_commands, "finder", lambda *given, **named: pytest.fail("it fetches"))
    for words in (["nowhere.mp4"], ["faces/biden/000.png", "--template", "mine"]):
        assert main(["extract", *words, "--out", "f/a"]) == 1
        assert "there is no " in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--html", "--png"])
def test_a_page_of_the_doctor_that_cannot_be_written_is_found_out_before_the_work(option, here, monkeypatch, capsys):
    from condswap.data import doctor

    monkeypatch.setattr(doctor, "examine", lambda *given, **named: pytest.fail("it works"))
    assert main(["doctor", "faces", option, "no/page"]) == 1
    assert "there is no folder no; make it first" in capsys.readouterr().err


def test_certificates_that_are_not_there_are_told_also_where_nothing_is_held_against_them(here, capsys):
    assert main(["verify", "faces/biden/000.png", "--trust", "nowhere.pem"]) == 1
    assert "there is no file nowhere.pem" in capsys.readouterr().err
