"""What is refused before the training: the words of the messages, and that they stay short where there are many classes."""

import pytest

from condswap import ConfigError, DataError
from condswap.training.checks import check_classes, check_grown

MANY = tuple(f"person {number}" for number in range(4096))


def test_a_class_at_another_number_is_named_with_both():
    with pytest.raises(
        DataError, match=r"'bob' is number 0 there and 1 here; the numbers would not mean the same people"
    ):
        check_classes(("bob", "anna"), None, classes=("anna", "bob"))


def test_of_very_many_classes_the_one_at_another_number_is_found():
    changed = (*MANY[:3000], MANY[3001], MANY[3000], *MANY[3002:])
    with pytest.raises(DataError, match="'person 3001' is number 3000 there and 3001 here") as caught:
        check_classes(changed, None, classes=MANY)
    assert len(str(caught.value)) < 1000


def test_of_very_many_classes_without_pictures_the_first_are_named():
    with pytest.raises(DataError, match="no pictures of person 1, .*, person 20 and 4,075 more; every class") as caught:
        check_classes(MANY, [0, 0], classes=MANY)
    assert len(str(caught.value)) < 500


def test_a_grown_model_of_very_many_classes_is_refused_in_few_words():
    with pytest.raises(ConfigError, match="make a new Trainer") as caught:
        check_grown((*MANY, "carl"), MANY)
    assert len(str(caught.value)) < 1000
