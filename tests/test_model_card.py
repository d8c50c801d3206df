"""The model card: what it must say, and that no name can break it."""

import ast
import re

import pytest
import yaml

from condswap import DataError
from condswap.model_card import as_shown, is_our_card, model_card, with_measured

HOSTILE = [
    'quote " and backslash \\',
    "two\nlines\n---\ntags: [evil]",
    "<script>alert(1)</script>",
    "![picture](http://example.org/x.png) [link](javascript:alert)",
    "| a | table |",
    "*bold* _slanted_ `code` ~~struck~~ $x$",
    "# heading",
    "&lt;b&gt;",
    "colon: value #comment",
    "\N{LINE SEPARATOR}\x85\x00\x7f\N{RIGHT-TO-LEFT OVERRIDE}\ufeff",
    "\N{GRINNING FACE} \U000e0001",
    "\ud800",
    "```\n# out of the fence\n```",
]


def card(**changes: object) -> str:
    arguments: dict = {
        "classes": ["ann", "bob"],
        "image_size": (64, 96),
        "parts": {"encoder": "ConvEncoder", "decoder": "ConvDecoder"},
        "training": {"steps": 2000, "seed": 0},
        "consent": "Both signed a release.",
        "license": "cc-by-nc-4.0",
        "repo_id": "user/swapper",
    }
    return model_card(**(arguments | changes))


def front_matter(text: str) -> dict:
    found = re.match(r"---\n(.*?\n)---\n", text, flags=re.DOTALL)
    assert found
    return yaml.safe_load(found[1])


def body(text: str) -> str:
    return text.split("\n---\n", 1)[1]


def test_the_front_matter_says_what_the_hub_reads():
    read = front_matter(card())
    assert read["library_name"] == "condswap"
    assert read["license"] == "cc-by-nc-4.0"
    assert read["pipeline_tag"] == "image-to-image"
    assert {"face-swap", "conditional-gan"} <= set(read["tags"])


def test_of_very_many_classes_the_card_names_the_first_and_says_where_the_others_are():
    text = card(classes=[f"person {number}" for number in range(4096)])
    assert "as one of the 4,096 classes" in text
    assert "49: person 49 and 4,046 more, see config.json." in text
    assert "person 50" not in text
    assert 'model.swap(image, "person 4095")' in text
    assert max(map(len, text.splitlines())) < 1200
    assert "49: person 49." in card(classes=[f"person {number}" for number in range(50)])


def test_the_card_says_what_the_model_is_and_how_to_use_it():
    text = body(card())
    assert "0: ann, 1: bob" in text
    assert "64 x 96" in text
    assert "| encoder | ConvEncoder |" in text
    assert "| steps | 2000 |" in text
    assert "Both signed a release." in text
    assert "from condswap import CGAN" in text
    assert 'CGAN.from_pretrained("user/swapper")' in text
    assert "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia" in text
    assert "did not consent" in text
    assert "No deception" in text
    assert "leak the identity" in text


def test_the_snippet_is_python():
    for name in HOSTILE:
        snippet = re.search(r"```python\n(.*?)\n```\n", card(classes=["ann", name], repo_id=name), flags=re.DOTALL)
        assert snippet
        words = [node.value for node in ast.walk(ast.parse(snippet[1])) if isinstance(node, ast.Constant)]
        assert words.count(name) == 2  # the model's name, and the class to show


@pytest.mark.parametrize("nothing", [None, "", "  \n"])
def test_a_card_without_consent_says_that_the_model_is_not_for_publication(nothing):
    text = card(consent=nothing)
    assert "No statement of consent was given: this model is not for publication." in text
    assert "No statement of consent" not in card()


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("MIT", {"license": "mit"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("For research, only: v1.0!", {"license": "other", "license_name": "for-research-only-v1.0"}),
        ("\N{CJK UNIFIED IDEOGRAPH-6CD5}", {"license": "other", "license_name": "unnamed"}),
        (None, {}),
        (" ", {}),
    ],
)
def test_a_licence_that_the_hub_does_not_know_is_named_as_another_one(given, read):
    found = front_matter(card(license=given))
    assert {key: value for key, value in found.items() if key.startswith("license")} == read


def test_without_training_the_card_says_so():
    assert "How it was trained was not recorded." in card(training=None)
    assert "How it was trained was not recorded." not in card()


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_can_break_the_card(name):
    usual = card()
    for place in (
        {"classes": ["ann", name]},
        {"consent": name},
        {"license": name},
        {"parts": {name: name}},
        {"training": {name: name}},
        {"repo_id": name},
    ):
        text = card(**place)
        text.encode()
        assert set(front_matter(text)) <= {*front_matter(usual), "license_name"}
        assert front_matter(text)["tags"] == front_matter(usual)["tags"]
        assert [line for line in text.splitlines() if line.startswith("#")] == [
            line for line in usual.splitlines() if line.startswith("#")
        ]
        assert [line for line in text.splitlines() if line.startswith("```")] == ["```python", "```"]
        assert is_our_card(text)
        outside = re.sub(r"```python\n.*?```", "", body(text), flags=re.DOTALL).replace("<!--", "").replace("-->", "")
        assert "<" not in outside
        assert not re.search(r"(?<!\\)\[", outside)
        assert not re.search(r"(?<!\\)_slanted|(?<!\\)~~|(?<!\\)\$|(?<!\\)`code", outside)
        for line in outside.splitlines():
            if line.startswith("|"):
                assert len(re.findall(r"(?<!\\)\|", line)) == 3  # two columns
        assert all(letter.isprintable() for letter in text.replace("\n", ""))


def test_what_markdown_would_read_is_escaped_so_that_it_shows_as_given():
    given = r"a\b *c* _d_ [e](f) <g> &amp; `h` | i"
    line = r"a\\b \*c\* \_d\_ \[e\](f) &lt;g&gt; &amp;amp; \`h\` \| i"
    assert f"Statement of whoever made this model: {line}\n" in card(consent=given)


def test_a_card_of_somebody_else_is_not_ours():
    text = card()
    edited = "\n".join(line for line in text.splitlines() if not line.startswith("<!-- condswap"))
    assert is_our_card(text)
    assert is_our_card(text.replace("\n", "\r\n"))
    assert not is_our_card(edited)
    assert not is_our_card("")
    assert not is_our_card("# A swapper\n\nMade with condswap.\n")


def section(text: str, name: str) -> str:
    return text.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0].strip()


def test_what_was_measured_has_a_section_of_its_own():
    text = card(training={"steps": 2000, "measured leak gap": 0.35, "measured verdict": "It swaps."})
    assert "| leak gap | 0.35 |\n| verdict | It swaps. |" in section(text, "Measured")
    assert "leak gap" not in section(text, "Training")
    assert "| steps | 2000 |" in section(text, "Training")


def test_without_a_measurement_the_card_says_so_and_how_to_get_one():
    assert "`condswap evaluate` measures it" in section(card(), "Measured")
    assert "How it was trained was not recorded." in card(training={"measured leak gap": 0.35})


def test_a_measurement_is_put_into_a_card_and_nothing_else_changes():
    before = card(training={"steps": 2000, "measured old": 1})
    after = with_measured(before, {"steps": 1, "measured leak gap": 0.35})
    assert after == card(training={"steps": 2000, "measured leak gap": 0.35})
    assert section(after, "Measured").endswith("| leak gap | 0.35 |")
    assert with_measured(after, {"measured old": 1}) == before


def test_a_measurement_does_not_go_into_a_card_of_somebody_else():
    headings = card().replace("## ", "")  # the marker is there, and no sections are
    for theirs in ("# My own words\n\n## Measured\n\n## More\n", headings, ""):
        with pytest.raises(DataError, match="save the model again"):
            with_measured(theirs, {"measured leak gap": 0.35})


def test_a_card_from_before_there_were_measurements_gets_the_section():
    found = section(card(), "Measured")
    old = card().replace(f"## Measured\n\n{found}\n\n", "")
    assert "Measured" not in old
    assert with_measured(old, {"measured leak gap": 0.35}) == with_measured(card(), {"measured leak gap": 0.35})


@pytest.mark.parametrize("name", HOSTILE)
def test_no_measurement_can_break_the_card(name):
    text = with_measured(card(), {"measured " + name: name, "measured next": 1})
    usual = with_measured(card(), {"measured next": 1})
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in usual.splitlines() if line.startswith("#")
    ]
    assert with_measured(text, {"measured next": 1}) == usual


def test_an_underscore_within_a_name_is_no_markup():
    assert as_shown("d3_woman_2") == "d3_woman_2"
    assert as_shown("_d3 __x__ a_ _") == r"\_d3 \_\_x\_\_ a\_ \_"
