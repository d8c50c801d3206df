"""Crop templates and the similarity that aligns a face, against scikit-image and DeepFaceLab's own matrices."""

import json
import math
from pathlib import Path

import pytest
import torch

from condswap import CGAN, ConfigError, DataError, FaceFolder, ShapeError
from condswap.pictures import save_picture
from condswap.templates import (
    DEFAULT,
    TEMPLATES,
    Template,
    agreed,
    five_of,
    invert,
    outline,
    transform,
    umeyama,
)

FIXTURE = Path(__file__).resolve().parents[1] / ".." / "shared" / "fixtures" / "dfl" / "merge" / "align.npz"
FIVE = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))


def random_points(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 200


class TestUmeyama:
    @pytest.mark.parametrize("count", [2, 5, 33])
    def test_is_that_of_scikit_image(self, count):
        transforms = pytest.importorskip("skimage.transform")
        for seed in range(20):
            source, target = random_points(count, seed), random_points(count, seed + 100)
            found = transforms.SimilarityTransform.from_estimate(source.numpy(), target.numpy())
            wanted = torch.from_numpy(found.params[:2])
            # In two points' mirror image and at random, the least squares may ask for a reflection, which none of both gives.
            assert torch.allclose(umeyama(source, target), wanted, atol=1e-9)

    def test_gives_back_a_known_turn(self):
        turn = torch.tensor(
            [[0.0, -3.0, 7.0], [3.0, 0.0, -2.0]], dtype=torch.float64
        )  # 90 degrees, three times as large
        points = random_points(6)
        assert torch.allclose(umeyama(points, transform(turn, points)), turn)
        assert torch.allclose(transform(invert(turn), transform(turn, points)), points)

    @pytest.mark.parametrize("points", [torch.ones(5, 2), torch.full((5, 2), math.nan), torch.full((5, 2), math.inf)])
    def test_points_that_span_nothing_are_refused(self, points):
        with pytest.raises(DataError, match="cannot be aligned"):
            umeyama(points, torch.tensor(FIVE))


@pytest.mark.skipif(not FIXTURE.is_file(), reason="there is no ../shared with matrices of DeepFaceLab's")
class TestDeepFaceLab:
    @pytest.mark.parametrize("kind", ["half", "midfull", "full", "whole"])
    def test_the_matrix_is_deepfacelabs(self, kind):
        numpy = pytest.importorskip("numpy")
        with numpy.load(FIXTURE) as fixture:
            landmarks = torch.from_numpy(fixture["landmarks"])
            wanted = torch.from_numpy(fixture[f"mat|{kind}_face|1.0"])
        found = TEMPLATES[f"dfl_{kind}_face"].matrix(landmarks, 256)
        # DeepFaceLab's go through three corners in single precision, hence a ten-thousandth of a pixel.
        assert (transform(found, landmarks) - transform(wanted, landmarks)).abs().max() < 1e-4


class TestTemplates:
    @pytest.mark.parametrize("name", TEMPLATES)
    def test_a_face_in_place_stays_in_place(self, name):
        template = TEMPLATES[name]
        matrix = template.matrix(torch.tensor(template.points) * 300, 300)
        assert torch.allclose(matrix, torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=torch.float64), atol=1e-9)

    @pytest.mark.parametrize("name", TEMPLATES)
    def test_is_found_again_by_its_name(self, name):
        assert TEMPLATES[name].config() == name
        assert Template.from_config(name) is TEMPLATES[name]

    def test_one_of_ones_own_goes_through_json(self):
        own = Template("mine", FIVE)
        assert Template.from_config(json.loads(json.dumps(own.config()))) == own
        whole = Template("other", FIVE, TEMPLATES["dfl_whole_face"].landmarks)
        assert Template.from_config(json.loads(json.dumps(whole.config()))) == whole

    def test_a_changed_one_is_not_taken_for_the_one_of_its_name(self):
        assert Template("ffhq", FIVE).config() == {"name": "ffhq", "points": [list(point) for point in FIVE]}

    def test_our_own_is_arcfaces_with_a_margin(self):
        # The box that identity networks are given: x 0.1 to 0.9 and y 0.078 to 0.878 is ArcFace's 112 px.
        for (x, y), (u, v) in zip(TEMPLATES[DEFAULT].points, TEMPLATES["arcface"].points, strict=True):
            assert ((x - 0.1) / 0.8, (y - 0.078) / 0.8) == pytest.approx((u, v))

    def test_facefusion_is_tighter_and_deepfacelive_looser_than_deepfacelab(self):
        def apart(name):
            (left, _), (right, _) = TEMPLATES[name].points[:2]
            return right - left

        assert apart("deepfacelive") / apart("dfl_whole_face") == pytest.approx((1 + 0.8 * math.sqrt(2)) / 2.2)
        assert apart("facefusion") == pytest.approx(0.62798 - 0.35342)

    def test_68_landmarks_without_a_template_of_their_own_are_aligned_by_five(self):
        landmarks = random_points(68)
        assert torch.equal(TEMPLATES["ffhq"].matrix(landmarks, 64), TEMPLATES["ffhq"].matrix(five_of(landmarks), 64))
        assert torch.equal(five_of(landmarks)[2], landmarks[30])
        assert torch.allclose(five_of(landmarks)[0], landmarks[36:42].mean(0))

    def test_from_one_to_another_and_back(self):
        one, other = TEMPLATES["ffhq"], TEMPLATES[DEFAULT]
        points = torch.tensor(one.points)
        assert torch.allclose(transform(one.to(other), points), torch.tensor(other.points).double(), atol=0.02)

    def test_the_outline_is_brow_to_chin(self):
        corners = outline(TEMPLATES[DEFAULT])
        assert corners[:, 1].min().item() == pytest.approx(0.242)
        assert corners[:, 1].max().item() == pytest.approx(0.902)
        assert (corners[:, 0].min().item(), corners[:, 0].max().item()) == pytest.approx((0.21, 0.79))

    @pytest.mark.parametrize(
        "config",
        ["nobody", 3, None, {}, {"name": "x"}, {"name": "x", "points": 3}, {"name": "x", "points": [[0, 1]] * 4}]
        + [{"name": "x", "points": [["a", 1]] * 5}, {"name": "x", "points": [[0, math.inf]] * 5}]
        + [{"name": "x", "points": [list(point) for point in FIVE], "landmarks": [[0, 0]]}],
    )
    def test_what_is_no_template_is_refused(self, config):
        with pytest.raises(ConfigError, match="crop template"):
            Template.from_config(config)

    @pytest.mark.parametrize("shape", [(4, 2), (5, 3), (478, 2), (10,)])
    def test_other_points_are_refused(self, shape):
        with pytest.raises(ShapeError, match=r"\(5, 2\) or \(68, 2\)"):
            TEMPLATES[DEFAULT].matrix(torch.rand(shape), 64)


class TestMismatch:
    def test_either_may_not_know_its_own(self):
        one = TEMPLATES["ffhq"]
        assert agreed(None, None) is None
        assert agreed(one, None) is agreed(None, one) is agreed(one, one) is one

    def test_two_that_differ_are_an_error_that_names_both(self):
        with pytest.raises(DataError, match="'ffhq'.*'arcface'.*--template ffhq"):
            agreed(TEMPLATES["ffhq"], TEMPLATES["arcface"])


def faces(root: Path, **templates: object) -> FaceFolder:
    for name, template in templates.items():
        (root / name).mkdir(parents=True)
        for number in range(2):
            save_picture(torch.rand(3, 16, 16), root / name / f"{number}.png")
            if template is not None:
                (root / name / f"{number}.json").write_text(json.dumps({"template": template}))
    return FaceFolder(root, image_size=16)


class TestData:
    def test_faces_say_how_they_were_cut_out(self, tmp_path):
        assert faces(tmp_path, ada="ffhq", bo=None).template == TEMPLATES["ffhq"]
        assert faces(tmp_path / "none", ada=None).template is None

    def test_faces_cut_out_in_two_ways_are_told_apart(self, tmp_path):
        data = faces(tmp_path, ada="ffhq", bo="arcface")
        with pytest.raises(DataError, match="ffhq for 0.png of ada; arcface for 0.png of bo"):
            _ = data.template

    def test_a_json_that_names_no_template_is_told(self, tmp_path):
        (tmp_path / "ada").mkdir()
        save_picture(torch.rand(3, 16, 16), tmp_path / "ada" / "a.png")
        save_picture(torch.rand(3, 16, 16), tmp_path / "ada" / "b.png")
        (tmp_path / "ada" / "a.json").write_text('{"template": "nobody"}')
        (tmp_path / "ada" / "b.json").write_text('{"of another program": 1}')
        data = FaceFolder(tmp_path, image_size=16)
        assert [path.name for path, _ in data.unreadable] == ["a.png"]
        assert "'nobody'" in data.unreadable[0][1]

    def test_a_pack_remembers_it(self, tmp_path):
        from condswap.data import PackedFaces, pack

        faces(tmp_path / "faces", ada="dfl_full_face")
        pack(tmp_path / "faces", tmp_path / "faces.safetensors", image_size=16)
        assert PackedFaces(tmp_path / "faces.safetensors").template == TEMPLATES["dfl_full_face"]


class TestModel:
    def test_a_model_keeps_its_template(self, tmp_path):
        model = CGAN.default(16, classes=["ada", "bo"])
        model.template = Template("mine", FIVE)
        model.save_pretrained(tmp_path)
        assert CGAN.from_pretrained(tmp_path).template == Template("mine", FIVE)

    def test_training_takes_it_from_the_faces_and_refuses_others(self, tmp_path):
        from condswap import Trainer, TrainerConfig
        from condswap.evaluation import evaluate

        model = CGAN.default(16, classes=["ada", "bo"])
        Trainer(model, TrainerConfig(batch_size=2, watch=0)).fit(faces(tmp_path / "a", ada="ffhq", bo="ffhq"), 1)
        assert model.template == TEMPLATES["ffhq"]
        others = faces(tmp_path / "b", ada="arcface", bo=None)
        with pytest.raises(DataError, match="'ffhq'.*'arcface'"):
            Trainer(model, TrainerConfig(batch_size=2)).fit(others, 1)
        with pytest.raises(DataError, match="'ffhq'.*'arcface'"):
            evaluate(model, others)
