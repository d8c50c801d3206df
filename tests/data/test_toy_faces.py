"""The toy faces keep their promises: determinism, an exact swap, a sensible mask, people and moments kept apart."""

import pickle
from collections import Counter

import pytest
import torch

from condswap.data.clips import find_clips
from condswap.data.toy_faces import ToyFaces
from condswap.errors import ConfigError, DataError

SIZE = 32


@pytest.fixture(scope="module")
def data():
    return ToyFaces(3, image_size=SIZE, seed=0, length=48)


def images(data, indices):
    return torch.stack([data[index]["image"] for index in indices])


def masked_mean(image, mask):
    return (image * mask).sum((-2, -1)) / mask.sum((-2, -1))


def centre(mask):
    """Where the middle of each mask (n, 1, h, w) lies: (n, 2), column and row in pixels."""
    at = torch.arange(mask.shape[-1], dtype=torch.float32)
    total = mask.sum((-3, -2, -1))
    return torch.stack([(mask * at).sum((-3, -2, -1)), (mask * at[:, None]).sum((-3, -2, -1))], dim=1) / total[:, None]


@pytest.mark.parametrize("size", [16, 33, 64])
def test_an_item_has_the_promised_shapes_types_and_ranges(size):
    item = ToyFaces(2, image_size=size, length=4)[1]
    assert item["image"].shape == (3, size, size) and item["mask"].shape == (1, size, size)
    assert item["image"].dtype == item["mask"].dtype == torch.float32
    assert type(item["label"]) is int and item["label"] == 1
    for picture in (item["image"], item["mask"]):
        assert 0 <= picture.min() < 0.5 < picture.max() <= 1


def test_the_same_arguments_give_the_same_pictures(data):
    again = ToyFaces(3, image_size=SIZE, seed=0, length=48)
    assert torch.equal(images(again, range(48)), images(data, range(48)))


def test_another_seed_gives_other_pictures(data):
    other = ToyFaces(3, image_size=SIZE, seed=1, length=48)
    assert not any(torch.equal(other[index]["image"], data[index]["image"]) for index in range(48))


def test_the_order_of_access_does_not_change_a_picture(data):
    backwards = ToyFaces(3, image_size=SIZE, seed=0, length=48)
    expected = images(data, range(48))
    assert torch.equal(images(backwards, range(47, -1, -1)).flip(0), expected)


def test_the_length_does_not_change_a_picture(data):
    short = ToyFaces(3, image_size=SIZE, seed=0, length=5)
    assert torch.equal(images(short, range(5)), images(data, range(5)))


def test_a_picture_that_was_dropped_from_the_cache_comes_back_the_same(data):
    small = ToyFaces(3, image_size=SIZE, seed=0, length=48)
    small._chunk, small._chunks_kept = 4, 2
    first = small[0]["image"]
    images(small, range(48))
    assert len(small._chunks) == 2
    assert torch.equal(small[0]["image"], first) and torch.equal(first, data[0]["image"])


def test_the_global_random_state_neither_matters_nor_moves(data):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    pictures = images(ToyFaces(3, image_size=SIZE, seed=0, length=48), range(6))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(pictures, images(data, range(6)))


def test_the_number_of_threads_neither_matters_nor_moves(data):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        pictures = images(ToyFaces(3, image_size=SIZE, seed=0, length=6), range(6))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(pictures, images(data, range(6)))


def test_changing_an_item_does_not_change_the_data(data):
    before = data[2]["image"].clone()
    item = data[2]
    item["image"].zero_()
    item["mask"].zero_()
    assert torch.equal(data[2]["image"], before) and data[2]["mask"].max() == 1


def test_data_that_went_through_a_worker_gives_the_same_pictures(data):
    assert torch.equal(pickle.loads(pickle.dumps(data))[7]["image"], data[7]["image"])  # noqa: S301


def test_the_swap_to_the_own_class_is_the_picture_itself(data):
    for index in range(12):
        item = data[index]
        assert torch.equal(data.swap_truth(index, item["label"]), item["image"])
        assert torch.equal(data.swap_mask(index, item["label"]), item["mask"])


def test_the_swap_of_a_picture_back_is_the_moment_of_that_picture(data):
    # Picture 0 of a data set with one person is the moment of picture 0 seen with person 0.
    alone = ToyFaces(1, image_size=SIZE, seed=0, length=8)
    for index in range(8):
        assert torch.equal(data.swap_truth(index, 0), alone[index]["image"])


def test_swaps_in_a_batch_equal_swaps_one_by_one(data):
    indices, to = [5, 0, 17, 3, 40, 41, 42, 8, 9, 11, 13], [0, 1, 2, 2, 1, 0, 0, 1, 2, 0, 1]
    batch = data.swap_truths(indices, to)
    assert batch.shape == (11, 3, SIZE, SIZE)
    assert torch.equal(batch, torch.stack([data.swap_truth(i, t) for i, t in zip(indices, to, strict=True)]))
    assert torch.equal(data.swap_truths(torch.tensor(indices), torch.tensor(to)), batch)
    assert torch.equal(data.swap_truths(indices, "person-1")[0], data.swap_truth(5, 1))
    assert data.swap_truths([], 0).shape == (0, 3, SIZE, SIZE)


def test_a_swap_keeps_what_is_behind(data):
    # The upper corners lie beyond the hair of the first two people, at every pose.
    indices = range(0, 48, 3)
    own, swapped = images(data, indices), data.swap_truths(list(indices), 1)
    for columns in (slice(0, 2), slice(SIZE - 1, SIZE)):
        assert torch.equal(own[..., :1, columns], swapped[..., :1, columns])
        assert own[..., :1, columns].std(0).mean() > 0.05  # it is not one background for all
    # Beside the corners there is more that neither head covers: background and shirt.
    same = (own == swapped).all(1).float().mean((-2, -1))
    assert same.min() > 0.1


def test_a_swap_changes_the_face_by_a_clear_margin(data):
    for index in range(0, 48, 3):
        inside = data[index]["mask"] * data.swap_mask(index, 1)
        difference = (data[index]["image"] - data.swap_truth(index, 1)).abs()
        assert masked_mean(difference, inside).mean() > 0.08


def test_a_swap_keeps_the_pose():
    data = ToyFaces(2, image_size=SIZE, seed=0, length=120)
    own = torch.stack([data[index]["mask"] for index in range(0, 120, 2)])
    swapped = torch.stack([data.swap_mask(index, 1) for index in range(0, 120, 2)])
    for axis in (0, 1):
        pair = torch.stack([centre(own)[:, axis], centre(swapped)[:, axis]])
        assert torch.corrcoef(pair)[0, 1] > 0.7


def test_moments_move_the_picture(data):
    pictures = data.swap_truths(list(range(24)), 0)
    for first, second in zip(pictures[:-1], pictures[1:], strict=True):
        assert (first - second).abs().mean() > 0.03
    assert centre(torch.stack([data.swap_mask(index, 0) for index in range(24)])).std(0).min() > 0.3


def test_the_mask_is_a_face_of_sensible_size_inside_the_picture(data):
    for index in range(24):
        mask = data[index]["mask"][0]
        assert 0.08 < mask.mean() < 0.40
        assert mask.max() == 1
        border = torch.cat([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert border.max() == 0
    assert ((mask > 0) & (mask < 1)).any()  # its edge is smooth


def test_neighbouring_people_differ_in_skin_hair_and_shape():
    # Of ten seeds: person 0 and person 1 never look the same at the same moment.
    for seed in range(10):
        pair = ToyFaces(2, image_size=SIZE, seed=seed, length=1)
        masks = pair.swap_mask(0, 0), pair.swap_mask(0, 1)
        difference = (pair.swap_truth(0, 0) - pair.swap_truth(0, 1)).abs()
        assert masked_mean(difference, torch.maximum(*masks)).mean() > 0.07
        assert (masks[0] - masks[1]).abs().sum() > 0.05 * masks[0].sum()


def test_the_splits_share_no_moment():
    train, test = (ToyFaces(2, image_size=16, length=60, split=split) for split in ("train", "test"))
    # The background follows from the moment only: no test picture has that of a train picture.
    corners = [torch.stack([data[i]["image"][:, :4, :2] for i in range(60)]).flatten(1) for data in (train, test)]
    assert torch.cdist(*corners).min() > 0
    assert torch.cdist(corners[0], corners[0]).fill_diagonal_(1).min() > 0


def test_the_splits_share_the_people():
    train, test = (ToyFaces(2, image_size=16, length=80, split=split) for split in ("train", "test"))

    def tone(data, person):
        return torch.stack([masked_mean(data[i]["image"], data[i]["mask"]) for i in range(person, 80, 2)]).mean(0)

    same = max((tone(train, person) - tone(test, person)).norm() for person in (0, 1))
    assert same < 0.5 * (tone(train, 0) - tone(train, 1)).norm()


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_other_split_shows_the_same_people_in_other_moments(split):
    data = ToyFaces(["ann", "bob"], image_size=20, seed=3, length=9, split=split)
    other = data.other_split(5)
    assert (other.split, len(other)) == ({"train": "test", "test": "train"}[split], 5)
    assert (other.classes, other.image_size, other.seed) == (("ann", "bob"), 20, 3)
    assert not torch.equal(other[0]["image"], data[0]["image"])
    again = other.other_split()
    assert (again.split, len(again)) == (split, 5)
    assert torch.equal(images(again, range(5)), images(data, range(5)))
    with pytest.raises(ConfigError, match="length=0"):
        data.other_split(0)


def test_moments_have_a_row_a_picture_and_a_column_a_name(data):
    rows = data.moments([5, -1, 0])
    assert rows.shape == (3, len(data.moment_names)) and rows.dtype == torch.float32
    assert torch.equal(rows, data.moments(torch.tensor([5, 47, 0])))
    assert data.moments([]).shape == (0, len(data.moment_names))
    assert not torch.equal(rows, data.other_split().moments([5, -1, 0]))
    with pytest.raises(IndexError, match="48"):
        data.moments([48])


def test_moments_follow_from_the_picture_and_not_from_the_person(data):
    # Picture 4 shows person 1 here, and person 0 where there is only one.
    alone = ToyFaces(1, image_size=SIZE, seed=0, length=8)
    assert torch.equal(data.moments([4]), alone.moments([4]))


def test_a_turn_to_the_side_is_seen_where_the_moments_tell_it():
    # The nearer half of the face is hidden less; where the face lies in the picture varies as well.
    data = ToyFaces(1, image_size=SIZE, length=60)
    yaw = data.moments(range(60))[:, data.moment_names.index("yaw")]
    middle = centre(torch.stack([data[index]["mask"] for index in range(60)]))[:, 0]
    assert torch.corrcoef(torch.stack([yaw, middle]))[0, 1] > 0.7


def test_a_lit_side_is_the_brighter_one_where_the_moments_tell_it():
    data = ToyFaces(1, image_size=SIZE, length=60)
    side = data.moments(range(60))[:, data.moment_names.index("light_side")]
    grey, mask = (torch.stack([data[i][one].mean(0) for i in range(60)]) for one in ("image", "mask"))
    left, right = (
        (grey * mask)[..., half].sum((1, 2)) / mask[..., half].sum((1, 2))
        for half in (slice(0, SIZE // 2), slice(SIZE // 2, SIZE))
    )
    assert torch.corrcoef(torch.stack([side, right - left]))[0, 1] > 0.7


def test_a_sequence_begins_with_its_picture_and_glides(data):
    frames, masks, label = data.sequence(7, length=6)
    assert frames.shape == (6, 3, SIZE, SIZE) and masks.shape == (6, 1, SIZE, SIZE)
    assert label == data[7]["label"] == 1
    assert torch.equal(frames[0], data[7]["image"]) and torch.equal(masks[0], data[7]["mask"])
    # Every step is nearer than the ends are: it moves all the time, and nowhere jumps.
    steps = (frames[1:] - frames[:-1]).abs().mean((1, 2, 3))
    assert steps.min() > 0.1 * steps.max()
    assert steps.max() < 0.5 * (frames[-1] - frames[0]).abs().mean()
    # More frames are smaller steps on the same way.
    fine, _, _ = data.sequence(7, length=11)
    assert torch.equal(fine[::2], frames)


def test_a_sequence_ends_in_the_next_pictures_pose_expression_and_light():
    # All that is left of picture 1 are its background, its shirt and how the face lies in the picture.
    data = ToyFaces(1, image_size=SIZE, length=2)
    frames, masks, _ = data.sequence(0, length=2)
    face = torch.minimum(masks[1], data[1]["mask"])
    error = [masked_mean((frame - data[1]["image"]).abs(), face).mean() for frame in frames]
    assert error[1] < 0.6 * error[0]


def test_the_last_picture_has_a_sequence_too(data):
    longer = ToyFaces(3, image_size=SIZE, seed=0, length=49)
    assert torch.equal(data.sequence(-1, length=3)[0], longer.sequence(47, length=3)[0])


def test_the_exact_swap_of_a_sequence_shows_another_person_in_the_same_moments(data):
    frames, masks, label = data.sequence(7, length=4, to="person-2")
    assert label == 2
    assert torch.equal(frames[0], data.swap_truth(7, 2)) and torch.equal(masks[0], data.swap_mask(7, 2))
    own, own_masks, _ = data.sequence(7, length=4)
    # What lies above both heads is the background, which stands still and is the same.
    assert torch.equal(frames[:, :, 0, :2], own[:, :, 0, :2]) and torch.equal(own[1:, :, 0, :2], own[:-1, :, 0, :2])
    assert masked_mean((frames - own).abs(), torch.minimum(masks, own_masks)).min() > 0.02
    alike = data.sequence(7, length=4, to=1)
    assert torch.equal(alike[0], own) and alike[2] == 1


def test_a_sequence_that_cannot_be_is_refused(data):
    for length in (1, 0, 2.5, True):
        with pytest.raises(ConfigError, match="length="):
            data.sequence(0, length=length)
    with pytest.raises(IndexError, match="48"):
        data.sequence(48)
    with pytest.raises(DataError, match="person-0, person-1, person-2"):
        data.sequence(0, to="person-9")


def test_a_person_is_one_stretch_and_nothing_is_drawn_to_find_it():
    data = ToyFaces(2, image_size=SIZE, length=40)
    assert find_clips(data) == [(0, tuple(range(0, 40, 2))), (1, tuple(range(1, 40, 2)))]
    assert not data._chunks


def test_the_number_of_classes_does_not_change_the_people(data):
    many = ToyFaces(["ann", "bob", "cem", "dot", "eve"], image_size=SIZE, seed=0, length=48)
    for person in range(3):
        assert torch.equal(many.swap_truth(4, person), data.swap_truth(4, person))


def test_labels_are_spread_evenly_and_known_without_drawing():
    data = ToyFaces(3, image_size=SIZE, length=100)
    assert list(data.labels) == [index % 3 for index in range(100)]
    assert Counter(data.labels) == {0: 34, 1: 33, 2: 33}
    assert not data._chunks
    assert [data[index]["label"] for index in (0, 4, 98)] == [0, 1, 2]


def test_classes_are_named():
    assert ToyFaces(2).classes == ("person-0", "person-1")
    named = ToyFaces(classes=["ann", "bob"], image_size=SIZE)
    assert named.classes == ("ann", "bob")
    assert torch.equal(named.swap_truth(0, "bob"), named.swap_truth(0, 1))


def test_there_are_a_thousand_pictures_unless_told():
    assert len(ToyFaces()) == 1000


def test_negative_indices_count_from_the_end(data):
    assert torch.equal(data[-1]["image"], data[47]["image"])
    assert torch.equal(data.swap_truth(-48, 1), data.swap_truth(0, 1))


def test_iteration_ends(data):
    assert sum(1 for _ in data) == 48


@pytest.mark.parametrize("index", [48, -49, 1000])
def test_a_picture_that_is_not_there_is_an_index_error(data, index):
    with pytest.raises(IndexError, match="48"):
        data[index]
    with pytest.raises(IndexError, match="48"):
        data.swap_truth(index, 0)


@pytest.mark.parametrize("to", ["person-9", "", 3, -1, True])
def test_an_unknown_class_is_an_error_that_names_the_known_ones(data, to):
    with pytest.raises(DataError, match="person-0, person-1, person-2"):
        data.swap_truth(0, to)


def test_as_many_people_as_pictures_are_needed(data):
    with pytest.raises(DataError, match="3 pictures but 2"):
        data.swap_truths([0, 1, 2], [0, 1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"classes": 0}, "at least one"),
        ({"classes": []}, "at least one"),
        ({"classes": ["ann", "ann"]}, "all different"),
        ({"classes": "ann"}, "'ann'"),
        ({"classes": 2.5}, "2.5"),
        ({"image_size": 15}, "at least 16"),
        ({"image_size": 64.0}, "whole number"),
        ({"length": 0}, "at least 1"),
        ({"seed": "zero"}, "whole number"),
        ({"split": "valid"}, '"train" and "test"'),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments, said):
    with pytest.raises(ConfigError, match=said):
        ToyFaces(**arguments)
