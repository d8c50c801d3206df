"""Models of DeepFaceLab's: the pictures that it made of them, every option by an independent statement, and what is broken."""

from pathlib import Path

import numpy as np
import pytest
import saehd_reference as reference
import torch
from hostile_pickles import payloads

from condswap import CGAN, ConfigError, DataError, ShapeError, Trainer, TrainerConfig
from condswap.deepfacelab import load_saehd
from condswap.safe_pickle import loads
from condswap.templates import TEMPLATES
from condswap.testing import check_component, fake_batch

FIXTURES = Path(__file__).resolve().parents[2] / ".." / "shared" / "fixtures" / "dfl"
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="there is no ../shared with models of DeepFaceLab's")
MADE_THERE = ("df", "df-u", "df-ud", "df-udt", "liae", "liae-ud")


def theirs(image: torch.Tensor) -> np.ndarray:
    """Channels last, blue first."""
    return image.movedim(1, -1).flip(-1).numpy()


def ours(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).flip(-1).movedim(-1, 1)


def picture(size: int) -> np.ndarray:
    return np.random.default_rng(1).random((2, size, size, 3), dtype=np.float32)


def loaded(tmp_path, archi="df-ud", resolution=64, **settings) -> CGAN:
    files = reference.weights(archi, resolution, **settings)
    return load_saehd(reference.folder(tmp_path / "model", files, archi=archi, resolution=resolution))


@needs_fixtures
@pytest.mark.parametrize("archi", MADE_THERE)
def test_a_model_gives_the_pictures_that_deepfacelab_made_of_it(archi):
    model = load_saehd(FIXTURES / archi, archi=archi, resolution=64)
    made = np.load(FIXTURES / archi / "io.npz")
    assert model.classes == ("src", "dst")
    for who in model.classes:
        with torch.no_grad():
            face = model.generator(ours(made["input"]), who)
        np.testing.assert_allclose(theirs(face.image), made[f"{who}_image"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(theirs(face.mask), made[f"{who}_mask"], rtol=0, atol=1e-5)


@needs_fixtures
@pytest.mark.parametrize("archi", MADE_THERE)
def test_the_other_statement_of_the_network_is_deepfacelabs_too(archi):
    files = {
        path.stem: {name: array.tensor().numpy() for name, array in loads(path.read_bytes()).items()}
        for path in (FIXTURES / archi).glob("*.npy")
    }
    made = np.load(FIXTURES / archi / "io.npz")
    for who in ("src", "dst"):
        image, mask = reference.run(archi, files, made["input"], who)
        np.testing.assert_allclose(image, made[f"{who}_image"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(mask, made[f"{who}_mask"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("archi", reference.ARCHIS)
def test_every_combination_of_options_gives_the_pictures_of_another_statement_of_it(archi, tmp_path):
    size = 96 if set(archi.partition("-")[2]) & set("dt") else 80
    files = reference.weights(archi, size, scale=0.5)
    image = picture(size)
    model = load_saehd(reference.folder(tmp_path / "model", files), archi=archi)
    assert model.image_shape == (3, size, size)
    with torch.no_grad():
        mixed = model.generator(ours(image), ["dst", "src"])
        for who in ("src", "dst"):
            face = model.generator(ours(image), who)
            wanted, mask = reference.run(archi, files, image, who)
            np.testing.assert_allclose(theirs(face.image), wanted, rtol=0, atol=1e-5)
            np.testing.assert_allclose(theirs(face.mask), mask, rtol=0, atol=1e-5)
            row = 1 if who == "src" else 0
            np.testing.assert_allclose(theirs(mixed.image)[row], wanted[row], rtol=0, atol=1e-5)
    assert np.ptp(wanted) > 0.01  # there is something to be equal


@pytest.mark.parametrize(("archi", "size"), [("df", 64), ("liae-udt", 640), ("df-t", 320), ("liae-u", 624)])
def test_the_smallest_and_the_largest_resolution(archi, size, tmp_path):
    files = reference.weights(archi, size, e=2, a=4, d=2)
    image = picture(size)[:1]
    model = load_saehd(reference.folder(tmp_path, files, archi=archi, resolution=size))
    with torch.no_grad():
        face = model.generator(ours(image), "src")
    wanted, _ = reference.run(archi, files, image, "src")
    np.testing.assert_allclose(theirs(face.image), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("archi", ["df", "df-udtc", "liae-d", "liae-t"])
def test_the_parts_keep_the_contract(archi, tmp_path):
    model = loaded(tmp_path, archi, scale=0.5)
    for part in (model.generator.encoder, model.generator.bottleneck, model.generator.decoder):
        check_component(part)


@pytest.mark.parametrize("archi", ["df-ud", "liae-ud"])
def test_a_model_is_saved_and_trained_on_like_any_other(archi, tmp_path):
    model = loaded(tmp_path, archi)
    model.save_pretrained(tmp_path / "saved")
    again = CGAN.from_pretrained(tmp_path / "saved")
    image = torch.rand(2, 3, 64, 64)
    assert torch.equal(model(image, "src"), again(image, "src"))
    assert "DeepFaceLab SAEHD" in (tmp_path / "saved" / "README.md").read_text(encoding="utf-8")
    before = {name: weight.clone() for name, weight in again.state_dict().items()}
    batch = fake_batch((3, 64, 64), num_classes=2)
    Trainer(again, TrainerConfig(seed=0, batch_size=4), device="cpu").fit([batch, batch], steps=2)
    moved = [name for name, weight in again.state_dict().items() if not torch.equal(weight, before[name])]
    assert {"generator.encoder.convs.0.weight", "discriminator.convs.0.weight"} <= set(moved)
    again.add_class("third")
    assert torch.isfinite(again.eval()(image, "third")).all()


def test_a_swap_is_deepfacelabs_merge_inside_its_mask(tmp_path):
    files = reference.weights("df-ud", 64)
    for name in ("decoder_src", "decoder_dst"):
        files[name]["out_convm/bias:0"][:] = 20.0  # face everywhere
    image = picture(64)
    model = load_saehd(reference.folder(tmp_path, files, archi="df-ud"))
    wanted, _ = reference.run("df-ud", files, image, "src")
    mask = torch.ones(2, 1, 64, 64)
    np.testing.assert_allclose(theirs(model.swap(ours(image), "src", mask=mask)), wanted, rtol=0, atol=1e-5)


def test_a_blend_of_two_people_lies_between_them_in_the_code(tmp_path):
    model = loaded(tmp_path, "liae-ud")
    image = torch.rand(1, 3, 64, 64)
    half = model.swap(image, {"src": 0.5, "dst": 0.5})
    assert not torch.equal(half, model.swap(image, "src"))
    with pytest.raises(ConfigError, match="SAEHDDecoder"):
        loaded(tmp_path / "df", "df-ud").swap(image, {"src": 0.5, "dst": 0.5})


def test_half_precision_weights_are_read(tmp_path):
    files = reference.weights("liae-ud", 64)
    halves = {file: {name: array.astype(np.float16) for name, array in named.items()} for file, named in files.items()}
    model = load_saehd(reference.folder(tmp_path, halves, archi="liae-ud"))
    rounded = {
        file: {name: array.astype(np.float32) for name, array in named.items()} for file, named in halves.items()
    }
    wanted, _ = reference.run("liae-ud", rounded, picture(64), "src")
    with torch.no_grad():
        np.testing.assert_allclose(theirs(model(ours(picture(64)), "src")), wanted, rtol=0, atol=1e-5)


def test_the_card_says_where_the_model_is_from(tmp_path):
    model = loaded(tmp_path)
    assert model.history == {
        "imported from": "DeepFaceLab SAEHD df-ud",
        "steps in DeepFaceLab": 2,
        "face type": "wf",
    }
    assert model.template is TEMPLATES["dfl_whole_face"]


def test_what_is_told_goes_before_data_dat(tmp_path):
    model = reference.folder(tmp_path, reference.weights("df-d", 64), archi="df-ud")
    told = load_saehd(model, archi="df-d", resolution=64)
    assert told.generator.encoder.config()["pixel_norm"] is False
    assert load_saehd(model).generator.encoder.config()["pixel_norm"] is True


def test_two_models_in_a_folder_are_told_apart_by_name(tmp_path):
    for number, name in enumerate(("anna", "bob")):
        reference.folder(tmp_path, reference.weights("df", 64, seed=number), prefix=f"{name}_SAEHD_", archi="df")
    with pytest.raises(DataError, match="'anna', 'bob'"):
        load_saehd(tmp_path)
    with pytest.raises(DataError, match="'carl'.*'anna', 'bob'"):
        load_saehd(tmp_path, name="carl")
    image = torch.rand(1, 3, 64, 64)
    assert not torch.equal(
        load_saehd(tmp_path, name="anna")(image, "src"), load_saehd(tmp_path, name="bob")(image, "src")
    )


def test_the_people_can_be_given_names(tmp_path):
    model = reference.folder(tmp_path, reference.weights("df", 64), archi="df")
    assert load_saehd(model, classes=["anna", "bob"]).classes == ("anna", "bob")
    with pytest.raises(ConfigError, match="src and dst"):
        load_saehd(model, classes=["anna"])


# What is broken


def test_every_missing_and_every_extra_weight_is_named(tmp_path):
    files = reference.weights("df-ud", 64)
    del files["encoder"]["down1/downs_2/conv1/bias:0"]
    del files["inter"]["dense1/weight:0"]
    files["decoder_dst"]["gamma:0"] = np.zeros(3, np.float32)
    with pytest.raises(DataError) as caught:
        load_saehd(reference.folder(tmp_path, files, archi="df-ud"))
    for part in (
        "new_SAEHD_encoder.npy lacks 'down1/downs_2/conv1/bias:0'",
        "new_SAEHD_inter.npy lacks 'dense1/weight:0'",
        "new_SAEHD_decoder_dst.npy has, unknown to it, 'gamma:0'",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("archi", ["df-ud", "liae-t", "df"])
def test_every_misshaped_weight_is_named_and_no_other(archi, tmp_path):
    whole = reference.weights(archi, 64)
    for file, named in whole.items():
        for name, array in named.items():
            files = {**whole, file: {**named, name: np.repeat(array, 2, axis=-1)}}
            with pytest.raises(ShapeError) as caught:
                load_saehd(reference.folder(tmp_path, files, archi=archi, resolution=64))
            assert f"new_SAEHD_{file}.npy '{name}' is f4" in str(caught.value)
            assert str(caught.value).count("is f4") == 1, name


@pytest.mark.parametrize("shape", [(), (0,), (0, 0, 0, 0), (1, 1, 1, 1, 1), (2, 2), (10**6,)])
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_a_weight_of_any_shape_and_kind_is_refused(shape, kind, tmp_path):
    whole = reference.weights("liae-ud", 64)
    for file, named in whole.items():
        for name in named:
            files = {**whole, file: {**named, name: np.zeros(shape, kind)}}
            reference.folder(tmp_path, files, prefix="")
            with pytest.raises(ShapeError) as caught:
                load_saehd(tmp_path, archi="liae-ud")
            assert name in str(caught.value)


def test_a_weight_that_is_no_number_is_named(tmp_path):
    files = reference.weights("df", 64)
    files["inter"]["dense2/bias:0"][3] = np.nan
    files["encoder"]["down1/downs_0/conv1/weight:0"][0, 0, 0, 0] = np.inf
    with pytest.raises(DataError, match=r"encoder.npy 'down1/downs_0/conv1/weight:0', .*inter.npy 'dense2/bias:0'"):
        load_saehd(reference.folder(tmp_path, files, archi="df"))


def test_another_architecture_than_the_weights_have_is_told(tmp_path):
    model = reference.folder(tmp_path, reference.weights("df-udt", 64))
    with pytest.raises(DataError, match="look like those of df-udt"):
        load_saehd(model, archi="df-u")
    with pytest.raises(DataError, match="inter_AB and inter_B and decoder|of df"):
        load_saehd(model, archi="liae-udt")


def test_another_resolution_than_the_weights_have_is_told(tmp_path):
    model = reference.folder(tmp_path, reference.weights("df-ud", 64))
    with pytest.raises(ShapeError, match="96 pixels.*dense1/weight:0"):
        load_saehd(model, archi="df-ud", resolution=96)


def test_a_code_that_fits_no_square_picture_is_told(tmp_path):
    files = reference.weights("df", 64)
    files["inter"]["dense1/weight:0"] = files["inter"]["dense1/weight:0"][:-1]
    model = reference.folder(tmp_path, files)
    with pytest.raises(ShapeError, match="dense1/weight:0.*fits no square picture"):
        load_saehd(model, archi="df")
    with pytest.raises(ShapeError, match="dense1/weight:0' is f4"):
        load_saehd(model, archi="df", resolution=64)


@pytest.mark.parametrize("resolution", [80, 32, 672, 64.0, True, "64"])
def test_a_resolution_that_no_model_has_is_refused(resolution, tmp_path):
    model = reference.folder(tmp_path, reference.weights("df-ud", 64))
    with pytest.raises(ShapeError, match="multiple of 32 from 64 to 640"):
        load_saehd(model, archi="df-ud", resolution=resolution)


@pytest.mark.parametrize("word", ["dfhd", "amp", "df-", "df-x", "DF-UD", 7, "", "df-ud\n"])
def test_a_word_that_is_no_architecture_is_refused(word, tmp_path):
    model = reference.folder(tmp_path, reference.weights("df", 64))
    if word == "df-":
        assert load_saehd(model, archi=word).classes == ("src", "dst")
        return
    with pytest.raises(ConfigError, match="liae-ud"):
        load_saehd(model, archi=word)


def test_without_data_dat_the_architecture_has_to_be_told(tmp_path):
    with pytest.raises(DataError, match="archi="):
        load_saehd(reference.folder(tmp_path, reference.weights("df", 64)))


def test_a_file_that_is_missing_empty_or_cut_off_is_named(tmp_path):
    model = reference.folder(tmp_path, reference.weights("df", 64), archi="df")
    file = model / "new_SAEHD_decoder_dst.npy"
    whole = file.read_bytes()
    for broken, told in (
        (whole[:-100], "broken"),
        (b"", "empty"),
        (b"\x93NUMPY\x01\x00" + bytes(200), "broken|not read"),
    ):
        file.write_bytes(broken)
        with pytest.raises(DataError, match=told) as caught:
            load_saehd(model)
        assert "new_SAEHD_decoder_dst.npy" in str(caught.value)
    file.unlink()
    with pytest.raises(DataError, match="there is no new_SAEHD_decoder_dst.npy"):
        load_saehd(model)


def test_a_folder_without_a_model_says_what_it_holds(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_saehd(tmp_path / "nothing")
    with pytest.raises(DataError, match="no SAEHD model"):
        load_saehd(tmp_path)
    (tmp_path / "new_AMP_encoder.npy").write_bytes(b"")
    with pytest.raises(DataError, match="AMP"):
        load_saehd(tmp_path)


@pytest.mark.parametrize("kind", sorted(payloads()))
@pytest.mark.parametrize("name", ["data.dat", "inter.npy"])
def test_nothing_that_a_hostile_model_asks_for_is_done(kind, name, tmp_path):
    model = reference.folder(tmp_path, reference.weights("df", 64), archi="df")
    for payload in payloads()[kind]:
        (model / f"new_SAEHD_{name}").write_bytes(payload)
        with pytest.raises((DataError, ConfigError, ShapeError)):
            load_saehd(model)


def test_a_model_that_claims_more_than_there_is_room_for_is_refused(tmp_path):
    files = reference.weights("df", 64)
    files["decoder_src"]["out_conv/weight:0"] = np.zeros((1, 1, 2_000_000, 1), np.float32)
    files["decoder_src"]["res2/conv1/bias:0"] = np.zeros(2_000_000, np.float32)
    files["decoder_src"]["res2/conv2/bias:0"] = np.zeros(2_000_000, np.float32)
    files["decoder_dst"] = files["decoder_src"]
    with pytest.raises(ShapeError, match="out_conv/weight:0"):
        load_saehd(reference.folder(tmp_path, files, archi="df"))


def test_many_steps_of_history_are_read(tmp_path):
    facts = {"iter": 100_000, "loss_history": [[float(n), 0.1] for n in range(100_000)]}
    files = reference.weights("df", 64)
    model = load_saehd(reference.folder(tmp_path, files, archi="df", facts=facts))
    assert model.history["steps in DeepFaceLab"] == 100_000
