"""Batches: mixed evenly, nothing left out, and the same from whatever step they start."""

from collections import Counter
from itertools import islice

import pytest
import torch
from tiny_models import Pictures, batch_of
from torch.utils.data import DataLoader, IterableDataset

from condswap import DataError
from condswap.training.loader import BalancedBatches, batches, derive, is_dataset, labels_of


def labels_with(*sizes):
    """So many pictures of class 0, of class 1, and so on."""
    return [label for label, size in enumerate(sizes) for _ in range(size)]


def first_batches(labels, steps, *, batch_size, start=0, seed=0):
    return list(islice(BalancedBatches(labels, batch_size=batch_size, seed=seed, start=start), steps))


MIXES = [  # sizes of the classes, size of the batch, classes in a batch, pictures of each of them
    ((7, 7), 16, 2, {8}),
    ((1, 50), 16, 2, {8}),
    ((3, 5, 11), 16, 3, {5, 6}),  # 16 = 5 + 5 + 6
    ((5,) * 8, 16, 4, {4}),  # four of each, so eight classes take turns
    ((4,) * 5, 16, 4, {4}),
    ((4,) * 5, 18, 4, {4, 5}),
    ((6, 2, 9), 4, 2, {2}),
    ((6, 2, 9), 3, 2, {1, 2}),
    ((3, 3, 3, 3, 3), 2, 2, {1}),
    ((3, 4), 1, 1, {1}),
    ((9,), 4, 1, {4}),
    ((2,), 5, 1, {5}),
]


@pytest.mark.parametrize(("sizes", "batch_size", "together", "each"), MIXES)
def test_every_batch_mixes_its_classes_evenly(sizes, batch_size, together, each):
    labels = labels_with(*sizes)
    for batch in first_batches(labels, 60, batch_size=batch_size):
        count = Counter(labels[index] for index in batch)
        assert len(batch) == batch_size
        assert len(count) == together
        assert set(count.values()) == each


@pytest.mark.parametrize(("sizes", "batch_size", "together", "each"), MIXES)
def test_classes_that_do_not_fit_a_batch_take_equal_turns(sizes, batch_size, together, each):
    labels, steps = labels_with(*sizes), 60 * len(sizes)
    shown = Counter(label for batch in first_batches(labels, steps, batch_size=batch_size) for label in
                    {labels[index] for index in batch})  # fmt: skip
    assert set(shown.values()) == {60 * together}


@pytest.mark.parametrize(("sizes", "batch_size", "together", "each"), MIXES)
def test_every_picture_of_a_class_is_seen_before_it_begins_anew(sizes, batch_size, together, each):
    """In so many batches that the largest class has been drawn from as often as it has pictures, each has come."""
    labels = labels_with(*sizes)
    least = min(each)
    appearances = -(-max(sizes) // least)  # batches with the class in them, rounded up
    steps = -(-appearances * len(sizes) // together)
    for start in (0, 5 * steps):  # the second: the laps of the pictures begin anywhere, so two of them are needed
        seen = {index for batch in first_batches(labels, steps * (1 if start == 0 else 2) + len(sizes),
                                                 batch_size=batch_size, start=start) for index in batch}  # fmt: skip
        assert seen == set(range(len(labels))), start


def test_pictures_come_equally_often_in_the_long_run():
    """Ten pictures in batches of 16 from three classes: 5 or 6 a batch, so extras must not favour a picture."""
    labels = labels_with(10, 10, 10)
    count = Counter(index for batch in first_batches(labels, 3000, batch_size=16) for index in batch)
    assert sum(count.values()) == 48_000
    assert all(abs(seen - 1600) < 60 for seen in count.values()), count


def test_one_lap_of_a_class_holds_each_picture_once():
    labels = labels_with(8, 8)
    lap = [index for batch in first_batches(labels, 2, batch_size=8) for index in batch]
    assert sorted(lap) == list(range(16))


@pytest.mark.parametrize("lap", [0, 1, 7, 10**9])
def test_no_picture_is_left_out_where_the_batch_does_not_divide(lap):
    """Batches of 16 from three classes of ten: 5 of each and one more, so two batches hold all thirty pictures."""
    labels = labels_with(10, 10, 10)
    seen = {index for batch in first_batches(labels, 2, batch_size=16, start=2 * lap) for index in batch}
    assert seen == set(range(30))


def test_every_lap_has_another_order():
    labels = labels_with(12)
    laps = [tuple(batch) for batch in first_batches(labels, 4, batch_size=12)]
    assert len(set(laps)) == 4


@pytest.mark.parametrize(("sizes", "batch_size", "together", "each"), MIXES)
def test_a_sampler_that_starts_later_gives_the_tail_of_one_that_starts_at_0(sizes, batch_size, together, each):
    labels = labels_with(*sizes)
    whole = first_batches(labels, 40, batch_size=batch_size)
    for start in (1, 2, 7, 39):
        assert first_batches(labels, 40 - start, batch_size=batch_size, start=start) == whole[start:]


def test_the_batches_follow_from_the_seed():
    labels = labels_with(20, 20)
    assert first_batches(labels, 5, batch_size=8, seed=1) == first_batches(labels, 5, batch_size=8, seed=1)
    assert first_batches(labels, 5, batch_size=8, seed=1) != first_batches(labels, 5, batch_size=8, seed=2)


@pytest.mark.parametrize("sizes", [(20, 30, 50), (2,) * 21])
def test_a_late_batch_costs_no_more_than_the_first(sizes, monkeypatch):
    """Counted in orders drawn, which is what a batch costs; and what is kept does not pile up."""
    labels = labels_with(*sizes)
    drawn = []
    real = torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda *args, **kwargs: drawn.append(args) or real(*args, **kwargs))

    def cost(start):
        drawn.clear()
        sampler = BalancedBatches(labels, batch_size=16, seed=0, start=start)
        list(islice(sampler, 50))
        return len(drawn), len(sampler._orders)

    early, late = cost(0), cost(10**12)
    assert late[0] <= early[0] + 2 * len(sizes) + 4
    assert max(early[1], late[1]) <= len(sizes) + 1  # the newest order of each class, and that of the classes


def plain_batches(labels, steps, *, batch_size, seed):
    """The first batches, written down step after step with everything drawn anew: what they have to be."""
    members = [[index for index, one in enumerate(labels) if one == label] for label in sorted(set(labels))]
    together = min(len(members), max(batch_size // 4, min(2, batch_size)))

    def order(what, lap, size):
        return torch.randperm(size, generator=torch.Generator().manual_seed(derive(seed, what, lap))).tolist()

    row, turn = [], 0
    while len(row) < steps * together:
        begun = row[len(row) - len(row) % together :]
        fresh = order("classes", turn, len(members))
        row += [one for one in fresh if one not in begun] + [one for one in fresh if one in begun]
        turn += 1
    found = []
    for step in range(steps):
        batch = []
        for place, number in enumerate(range(step * together, (step + 1) * together)):
            own, turn, each = members[row[number]], number // len(members), batch_size // together
            for draw in range(turn * each, (turn + 1) * each + (place < batch_size % together)):
                batch.append(own[order(f"class {row[number]}", draw // len(own), len(own))[draw % len(own)]])
        found.append(batch)
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 16, 18])
@pytest.mark.parametrize(
    "labels",
    [
        labels_with(7),
        labels_with(1, 50),
        [2, 0, 1] * 5,
        [7, 7, 3, 3, 3, 40],  # numbers that are left out
        labels_with(*(2,) * 21),
        labels_with(*range(1, 31)),
        [number % 300 for number in range(900)],
    ],
)
def test_the_batches_are_those_of_the_plain_algorithm(labels, batch_size):
    plain = plain_batches(labels, 50, batch_size=batch_size, seed=3)
    assert first_batches(labels, 50, batch_size=batch_size, seed=3) == plain
    assert first_batches(labels, 10, batch_size=batch_size, seed=3, start=40) == plain[40:]


def test_four_thousand_classes_take_turns():
    """Four a batch, so 1,024 batches hold every class once, with all of its four pictures; then anew in another order."""
    labels = labels_with(*(4,) * 4096)
    found = first_batches(labels, 2048, batch_size=16)
    for lap in (found[:1024], found[1024:]):
        assert sorted(index for batch in lap for index in batch) == list(range(4 * 4096))
    assert found[:1024] != found[1024:]


def test_derived_seeds_differ_by_every_part_and_fit_a_generator():
    seeds = [derive(0), derive(0, "order"), derive(0, 1), derive(1, 0), derive(0, 0, 1), derive(0, 1, 0), derive(0, 10)]
    assert len(set(seeds)) == len(seeds)
    for seed in seeds:
        torch.Generator().manual_seed(seed)


def taken(data, steps, *, labels=None, start=0, workers=0, batch_size=4):
    source = batches(
        data, labels=labels, batch_size=batch_size, seed=0, start=start, workers=workers, device=torch.device("cpu")
    )
    return list(islice(source, steps))


def test_a_dataset_becomes_batches_of_tensors():
    data = Pictures()
    (batch,) = taken(data, 1, labels=data.labels)
    assert batch["image"].shape == (4, 3, 16, 16)
    assert batch["label"].dtype == torch.int64
    for image, label in zip(batch["image"], batch["label"], strict=True):
        (index,) = [i for i in range(len(data)) if torch.equal(data.images[i], image)]
        assert data.labels[index] == label


def test_batches_come_as_they_are_and_go_round():
    data = Pictures()
    given = [batch_of(data, range(i, i + 4)) for i in (0, 4, 8)]
    assert [id(batch) for batch in taken(given, 7)] == [id(given[i]) for i in (0, 1, 2, 0, 1, 2, 0)]


def test_a_list_of_batches_is_entered_at_its_step():
    given = [batch_of(Pictures(), [i]) for i in range(3)]
    assert [id(batch) for batch in taken(given, 4, start=5)] == [id(given[i]) for i in (2, 0, 1, 2)]


def test_reading_leaves_everybodys_random_numbers_alone():
    data = Pictures()
    before = torch.get_rng_state()
    taken(data, 3, labels=data.labels)
    assert torch.equal(torch.get_rng_state(), before)


def test_workers_read_the_same_batches():
    data = Pictures()
    for one, other in zip(
        taken(data, 3, labels=data.labels), taken(data, 3, labels=data.labels, workers=1), strict=True
    ):
        assert all(torch.equal(one[key], other[key]) for key in ("image", "mask", "label"))


def test_a_generator_that_ends_is_an_error_that_says_so():
    given = (batch_of(Pictures(), [0, 1]) for _ in range(3))
    source = batches(given, labels=None, batch_size=4, seed=0, start=0, workers=0, device=torch.device("cpu"))
    assert len(list(islice(source, 3))) == 3
    with pytest.raises(DataError, match="ran out.*a list or a DataLoader"):
        next(source)


class Stream(IterableDataset):
    """Batches without number; it counts how often it was begun."""

    begun = 0

    def __iter__(self):
        self.begun += 1
        data = Pictures()
        yield batch_of(data, [0, 1])
        yield batch_of(data, [2, 3])


def test_an_iterable_dataset_is_gone_through_again():
    stream = Stream()
    assert not is_dataset(stream)
    assert len(taken(stream, 5)) == 5
    assert stream.begun == 3


def test_an_iterable_dataset_that_knows_its_length_is_no_dataset_of_items():
    class Long(Stream):
        def __len__(self):
            return 2

    assert not is_dataset(Long())
    assert not is_dataset(DataLoader(Pictures(), batch_size=2))


def test_items_are_told_from_batches():
    data = Pictures()
    assert is_dataset(data)
    assert is_dataset([data[0], data[1]])
    assert not is_dataset([batch_of(data)])
    assert not is_dataset(iter([]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "empty"),
        (3, "not int"),
        (None, "not NoneType"),
        ("faces/", "'faces/'.*FaceFolder"),
        (batch_of(Pictures()), "put it in a list"),
        ([(torch.zeros(3, 8, 8), 0)], "dict.*got tuple"),
        ([{"image": torch.zeros(3, 8, 8), "label": 0}], "dict.*got dict"),
        ([{"image": [0.0], "mask": [0.0], "label": 0}], "tensor.*got list"),
    ],
)
def test_what_is_no_data_is_refused_with_the_reason(data, words):
    with pytest.raises(DataError, match=words):
        is_dataset(data)


def test_labels_are_read_from_the_items_where_the_dataset_does_not_tell_them():
    data = Pictures([1, 0, 1])
    assert labels_of([data[i] for i in range(3)]) == [1, 0, 1]
    assert labels_of([{**data[i], "label": torch.tensor(data.labels[i])} for i in range(3)]) == [1, 0, 1]


@pytest.mark.parametrize("label", ["anna", 0.0, None, torch.tensor(0.5)])
def test_a_label_that_is_no_whole_number_is_refused_with_its_picture(label):
    data = Pictures([0, 1])
    with pytest.raises(DataError, match="picture 1 has the label"):
        labels_of([data[0], {**data[1], "label": label}])


def test_labels_that_are_not_as_many_as_the_pictures_are_refused():
    data = Pictures([0, 1, 0])
    data.labels = [0, 1]
    data.__class__ = type("Longer", (Pictures,), {"__len__": lambda self: 3})
    with pytest.raises(DataError, match="3 pictures and 2 labels"):
        labels_of(data)
