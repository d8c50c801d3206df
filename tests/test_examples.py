"""Every example runs as a user runs it, and leaves the files that it promises.

An example promises files in its docstring: a line that begins with "Writes" and names them in backticks. If it knows
`--smoke` it is run with it, so that it is quick. What goes to the Hub goes to one on this machine.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.utils.data import default_collate
from toy_folder import make_faces

from condswap import CGAN, ToyFaces

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
TOY = ROOT / "tests" / "swappers" / "toy"
PUBLISH = ["--consent", "Both agreed.", "--license", "mit"]
# What an example needs on its command line; faces, swapper and RUN are names in the temporary folder that it is run in.
ARGUMENTS = {
    "train_folder.py": ["faces", "--out", "run"],
    "trump_biden.py": ["faces", "--out", "RUN", "--push", "user/swapper", *PUBLISH],
    "share_on_hub.py": ["swapper", "user/swapper", *PUBLISH],
}


def promised_files(source: str) -> list[str]:
    docstring = ast.get_docstring(ast.parse(source)) or ""
    promises = re.findall(r"^Writes .*?(?=\n\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    return [name for promise in promises for name in re.findall(r"`([^`]+)`", promise)]


def run(path: Path, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg", "HF_TOKEN": "hf_test"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def imported(name: str) -> ModuleType:
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_examples():
    assert {path.stem for path in EXAMPLES.glob("*.py")} >= {
        "quickstart",
        "custom_encoder",
        "train_folder",
        "train_with_fabric",
        "share_on_hub",
        "trump_biden",
    }


def test_every_example_is_on_its_page():
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES.glob("*.py") if f'--8<-- "examples/{path.name}"' not in page] == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_the_example_runs_and_writes_what_it_promises(path, tmp_path, hub):
    source = path.read_text(encoding="utf-8")
    promised = promised_files(source)
    assert promised, f'{path.name}: its docstring has no line such as "Writes `swap.png` and `swapper/config.json`."'
    arguments = ARGUMENTS.get(path.name, [])
    if "faces" in arguments:
        make_faces(tmp_path / "faces")
    if "swapper" in arguments:
        shutil.copytree(TOY, tmp_path / "swapper")
    if '"--smoke"' in source:
        arguments = [*arguments, "--smoke"]
    done = run(path, arguments, tmp_path)
    assert done.returncode == 0, f"{path.name} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    there = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*"))
    missing = [name for name in promised if not (tmp_path / name).exists()]
    assert missing == [], f"{path.name} promises {missing} and wrote {there}"
    if "user/swapper" in arguments:
        assert hub.repositories["user/swapper"].private
        card = hub.repositories["user/swapper"].find("main").tree["README.md"].decode()
        assert "Both agreed." in card and "## Measured\n\nBy `condswap evaluate`" in card
    else:
        assert hub.log == []


def test_promises_are_read_from_the_docstring():
    source = '"""An example.\n\nWrites `a.png` and\n`b/config.json`.\n\nNeeds `nothing`.\n"""\n'
    assert promised_files(source) == ["a.png", "b/config.json"]


# The reference script.


@pytest.mark.parametrize("left_out", ["--consent", "--license"])
def test_nothing_is_trained_for_the_hub_without_consent_and_licence(left_out, tmp_path, monkeypatch, capsys):
    place = PUBLISH.index(left_out)
    told = PUBLISH[:place] + [left_out, " "] + PUBLISH[place + 2 :]
    monkeypatch.setattr(
        sys, "argv", ["trump_biden.py", "faces", "--out", str(tmp_path / "RUN"), "--push", "a/b", *told]
    )
    with pytest.raises(SystemExit) as stopped:
        imported("trump_biden").main()
    assert stopped.value.code == 2 and "--consent, which says who agreed" in capsys.readouterr().err
    assert not (tmp_path / "RUN").exists()


def test_people_in_several_places_are_read_by_their_names(tmp_path):
    make_faces(tmp_path / "faces")
    (tmp_path / "workspace" / "data_src").mkdir(parents=True)
    (tmp_path / "faces" / "trump").rename(tmp_path / "workspace" / "data_src" / "aligned")
    script = imported("trump_biden")
    places = [tmp_path / "workspace" / "data_src" / "aligned", tmp_path / "faces" / "biden"]
    assert script.read(places, ["trump", "biden"], 32).classes == ("trump", "biden")
    assert script.read(places, None, 32).classes == ("data_src", "biden")


@pytest.mark.parametrize(
    ("places", "complaint"),
    [(["one", "two"], "is a whole workspace"), (["one/data_src", "two/data_src"], "--classes biden trump")],
)
def test_places_that_do_not_say_who_is_who_are_refused(places, complaint, tmp_path):
    for place in ("one/data_src/aligned", "two/data_src/aligned"):
        (tmp_path / place).mkdir(parents=True)
    script = imported("trump_biden")
    with pytest.raises(script.DataError, match=complaint):
        script.read([tmp_path / place for place in places], None, 32)


def test_the_reference_script_goes_on_with_the_run_that_it_finds_and_with_no_other(tmp_path):
    script = imported("trump_biden")
    given = Namespace(out=tmp_path, batch_size=4, image_size=32, steps=100, workers=0, device="cpu")
    data = ToyFaces(2, image_size=32, length=8)
    trainer = script.begin(given, CGAN.default(32, classes=data.classes))
    assert trainer.step == 0 and trainer.config.planned_steps == 100 and not trainer.config.recompute
    guides = {"any": lambda swaps: swaps.image.mean((1, 2, 3))}
    guided = script.begin(given, CGAN.default(32, classes=data.classes), guides)
    assert (trainer.config.guided_from, guided.config.guided_from) == (0, 50) and guided.guides == guides
    trainer.fit(data, 2)
    trainer.save(tmp_path / "state")
    assert script.begin(given, CGAN.default(32, classes=data.classes)).step == 2
    given.steps = 200
    with pytest.raises(script.ConfigError, match="was begun with batch size 4, .*planned steps 100"):
        script.begin(given, CGAN.default(32, classes=data.classes))


def test_batches_that_would_fill_half_of_a_large_card_are_recomputed(tmp_path):
    script = imported("trump_biden")
    given = Namespace(out=tmp_path, image_size=512, steps=100, workers=0, device="cpu")
    for batch_size, recomputed in ((32, False), (128, True)):
        given.batch_size = batch_size
        assert script.begin(given, CGAN.default(32, classes=["anna", "bob"])).config.recompute is recomputed


# The steps under Fabric.


@pytest.mark.filterwarnings("ignore")  # those of Fabric's own imports
def test_the_loop_under_fabric_learns_what_the_trainer_learns():
    from lightning_fabric import Fabric

    from condswap import (
        ConvDecoder,
        ConvEncoder,
        CrossAttentionBottleneck,
        PatchDiscriminator,
        Trainer,
        TrainerConfig,
    )
    from condswap.data.augment import Augmentation
    from condswap.training.loader import derive

    def assemble() -> CGAN:
        torch.manual_seed(0)
        encoder = ConvEncoder((3, 32, 32), width=8, stages=3)
        # Without noise, which the trainer seeds anew at every step.
        bottleneck = CrossAttentionBottleneck(encoder.out_shape, num_classes=2, width=32, noise=0.0)
        decoder = ConvDecoder(bottleneck.out_shape, num_classes=2, width=8, stages=3)
        discriminator = PatchDiscriminator(decoder.out_shape, num_classes=2, width=8, stages=2)
        return CGAN(encoder, bottleneck, decoder, discriminator, classes=data.classes)

    data = ToyFaces(2, image_size=32, length=32)
    batches = [default_collate([data[8 * step + place] for place in range(8)]) for step in range(4)]
    image, label = batches[0]["image"], batches[0]["label"]
    plain = TrainerConfig(
        seed=0, unmasked=0.0, back_translation=0.0, augmentation=Augmentation.none(), warm_up=0, ramp_up=0, watch=0
    )
    ours = assemble()
    Trainer(ours, plain, device="cpu").fit(batches, len(batches))

    model = assemble()
    torch.manual_seed(derive(0, "code adversary"))  # the first thing that `train` makes
    theirs = imported("train_with_fabric").train(Fabric(accelerator="cpu", devices=1), model, batches, code_ramp=1)
    # Not to the last digit: Adam goes a whole step where a gradient is nothing but rounding.
    for seen in (lambda model: model(image, label), lambda model: model.discriminator(image, label)):
        first, last, other = seen(assemble()), seen(ours), seen(theirs)
        assert (other - last).abs().mean() < 0.01 * (last - first).abs().mean()
