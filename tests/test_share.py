"""A model to the Hub and back: the real client against a small Hub on this machine."""

import json

import pytest
import torch
from hub_server import Fault
from small_model import met, pictures, small

from condswap import CGAN, ConfigError, DataError, HubError

TOKEN = "hf_test"
CONSENT = "Both people agreed in writing."
FILES = ("config.json", "model.safetensors", "README.md")


@pytest.fixture(scope="module")
def model():
    return met(small())


def push(model, repo_id="user/swapper", **changes):
    return model.push_to_hub(repo_id, **({"consent": CONSENT, "license": "mit", "token": TOKEN} | changes))


def equal(one, other):
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_a_model_comes_back_from_the_hub_bit_equal(hub, model):
    url = push(model)
    assert url.startswith(f"{hub.endpoint}/user/swapper/commit/")
    loaded = CGAN.from_pretrained("user/swapper", token=TOKEN)
    assert equal(loaded, model)
    assert torch.equal(loaded.swap(pictures(), "bob"), model.swap(pictures(), "bob"))
    assert set(hub.repositories["user/swapper"].find("main").tree) == {".gitattributes", *FILES}


@pytest.mark.parametrize("consent", [None, "", "  \n", True, 5])
@pytest.mark.parametrize("what", ["consent", "license"])
def test_without_consent_or_licence_nothing_is_published_and_nobody_asked(hub, model, what, consent):
    with pytest.raises(
        ConfigError, match=f"published with their consent and a licence; {what} is .*: say, for instance"
    ):
        push(model, **{what: consent})
    assert hub.log == []
    with pytest.raises(ConfigError, match="consent is None"):
        model.push_to_hub("user/swapper", token=TOKEN)
    assert hub.log == []


def test_the_card_on_the_hub_has_the_consent_and_loads_the_model_by_its_name(hub, model):
    push(model, license="cc-by-nc-4.0")
    card = hub.repositories["user/swapper"].find("main").tree["README.md"].decode()
    assert CONSENT in card
    assert 'license: "cc-by-nc-4.0"' in card
    assert 'CGAN.from_pretrained("user/swapper")' in card


def test_a_name_without_a_user_is_not_written_into_the_card(hub, model):
    push(model, "swapper")
    card = hub.repositories["user/swapper"].find("main").tree["README.md"].decode()
    assert 'from_pretrained("swapper")' not in card
    assert equal(CGAN.from_pretrained("user/swapper", token=TOKEN), model)


# Who can see it.


def test_a_new_repository_is_private_unless_it_was_asked_to_be_public(hub, model):
    push(model, "user/one")
    push(model, "user/two", private=True)
    push(model, "user/three", private=False)
    assert {name: repository.private for name, repository in hub.repositories.items()} == {
        "user/one": True,
        "user/two": True,
        "user/three": False,
    }


def test_a_repository_that_is_there_stays_as_visible_as_it_is(hub, model):
    for private in (True, False):
        name = f"user/{'hidden' if private else 'open'}"
        hub.create(name, private=private)
        push(model, name)
        push(small(seed=3), name)
        assert hub.repositories[name].private is private
        assert equal(CGAN.from_pretrained(name, token=TOKEN), small(seed=3))


def test_a_public_repository_is_refused_when_private_was_asked_for(hub, model):
    hub.create("user/open")
    before = hub.repositories["user/open"].find("main").oid
    with pytest.raises(
        HubError, match="exists and is public; make it private.*or pass private=False. Nothing was uploaded"
    ):
        push(model, "user/open", private=True)
    assert hub.repositories["user/open"].find("main").oid == before


def test_a_private_model_needs_the_token(hub, model):
    push(model)
    for token in (None, False):
        with pytest.raises(HubError, match="'user/swapper'.*private"):
            CGAN.from_pretrained("user/swapper", token=token)


# Where it lies.


def test_a_revision_is_a_branch_or_a_commit(hub, model):
    push(model, private=False)
    first = hub.repositories["user/swapper"].find("main").oid
    push(small(seed=3), private=False, revision="exp/one")
    push(small(seed=4), private=False)
    assert equal(CGAN.from_pretrained("user/swapper"), small(seed=4))
    assert equal(CGAN.from_pretrained("user/swapper", revision="main"), small(seed=4))
    assert equal(CGAN.from_pretrained("user/swapper", revision="exp/one"), small(seed=3))
    assert equal(CGAN.from_pretrained("user/swapper", revision=first), model)
    with pytest.raises(HubError, match="no such revision"):
        CGAN.from_pretrained("user/swapper", revision="nowhere")


def test_a_model_can_lie_in_a_folder_of_a_repository(hub, model, tmp_path):
    model.save_pretrained(tmp_path)
    hub.create("user/many")
    hub.commit("user/many", {f"best/{name}": (tmp_path / name).read_bytes() for name in FILES})
    assert equal(CGAN.from_pretrained("user/many", subfolder="best"), model)
    with pytest.raises(HubError, match="has no config.json"):
        CGAN.from_pretrained("user/many")


def test_the_cache_can_lie_elsewhere(hub, model, tmp_path):
    push(model)
    CGAN.from_pretrained("user/swapper", token=TOKEN, cache_dir=tmp_path / "mine")
    assert list((tmp_path / "mine").rglob("model.safetensors"))
    assert not list((tmp_path / "hub_home").rglob("model.safetensors"))


# What goes wrong.


@pytest.mark.parametrize("token", [TOKEN, None])
def test_an_unknown_repository_is_named(hub, token):
    with pytest.raises(HubError, match="'user/nothing': it does not exist, or it is private"):
        CGAN.from_pretrained("user/nothing", token=token)


def test_a_wrong_token_is_told_and_never_shown(hub, model):
    push(model)
    secret = "hf_" + "Secret" * 6
    for call in (lambda: push(model, token=secret), lambda: CGAN.from_pretrained("user/swapper", token=secret)):
        with pytest.raises(HubError, match="does not accept the token") as caught:
            call()
        error = caught.value
        while error is not None:
            assert secret not in str(error)
            error = error.__cause__ or error.__context__


def test_a_push_that_fails_leaves_the_repository_as_it_was(hub, model):
    push(model)
    hub.faults.append(Fault("POST .*/commit/", status=500, times=50))
    with pytest.raises(HubError, match="'user/swapper'"):
        push(small(seed=3))
    hub.faults.clear()
    assert equal(CGAN.from_pretrained("user/swapper", token=TOKEN), model)


def test_a_push_that_lands_between_two_reads_mixes_no_models(hub, model, tmp_path):
    push(model, private=False)
    small(seed=3).save_pretrained(tmp_path)
    landed = []

    def land(request):
        if not landed and "/resolve/" in request.path and request.path.endswith("config.json"):
            landed.append(hub.commit("user/swapper", {name: (tmp_path / name).read_bytes() for name in FILES}))

    hub.before_request = land
    loaded = CGAN.from_pretrained("user/swapper")
    assert landed
    assert equal(loaded, model)
    assert equal(CGAN.from_pretrained("user/swapper"), small(seed=3))


def test_a_download_of_other_weights_is_refused(hub, model, tmp_path):
    push(model, private=False)
    small(seed=3).save_pretrained(tmp_path)
    hub.commit("user/swapper", {"model.safetensors": (tmp_path / "model.safetensors").read_bytes()})
    with pytest.raises(DataError, match="not the file that was saved with its config.json"):
        CGAN.from_pretrained("user/swapper")


def test_a_model_that_was_fetched_loads_without_the_hub(hub, model):
    push(model, private=False)
    CGAN.from_pretrained("user/swapper")
    hub.close()
    assert equal(CGAN.from_pretrained("user/swapper"), model)
    with pytest.raises(HubError, match="'user/other'.*connection"):
        CGAN.from_pretrained("user/other")


def test_a_repository_of_another_library_is_refused(hub):
    hub.create("user/bert")
    hub.commit(
        "user/bert", {"config.json": json.dumps({"model_type": "bert"}).encode(), "model.safetensors": b"12345678"}
    )
    with pytest.raises(ConfigError, match="config.json: this is not the config of a condswap model"):
        CGAN.from_pretrained("user/bert")


def test_publishing_leaves_no_files_behind(hub, model, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    push(model)
    with pytest.raises(HubError):
        push(model, token="hf_wrong")
    assert not list(tmp_path.glob("condswap-*"))
