"""To the Hub and back: the real client against a small Hub on this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import Fault, HubServer

from condswap.errors import CondswapError, HubError
from condswap.hub import fetch, publish

TOKEN = "hf_test"
FILES = ("config.json", "model.safetensors")
ALL = (*FILES, "README.md")


def contents(seed: int = 0) -> dict[str, bytes]:
    """Made-up files, their weights longer than a few chunks of a download."""
    weights = bytes((i * 7 + i // 256 + seed) % 256 for i in range(5000))
    return {"config.json": b'{"version": %d}' % seed, "model.safetensors": weights, "README.md": b"# card %d\n" % seed}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def read(folder: Path, names=FILES) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names}


def of(seed: int, names=FILES) -> dict[str, bytes]:
    return {name: contents(seed)[name] for name in names}


@pytest.fixture
def stocked(hub: HubServer) -> HubServer:
    """A Hub that has user/swapper, version 1."""
    hub.create("user/swapper")
    hub.commit("user/swapper", contents(1))
    return hub


def push(folder: Path, repo_id: str = "user/swapper", **changes: object) -> str:
    arguments: dict = {"files": ALL, "private": False, "token": TOKEN, "message": "a swapper"}
    return publish(folder, repo_id, **(arguments | changes))


# There and back.


def test_what_is_published_comes_back_bit_for_bit(hub, tmp_path):
    push(write(tmp_path / "swapper", contents(1)))
    assert read(fetch("user/swapper", files=ALL), ALL) == of(1, ALL)


def test_a_push_is_one_commit_and_its_url_is_returned(hub, tmp_path):
    folder = write(tmp_path / "swapper", contents(1))
    url = push(folder, message="the first")
    commits = list(hub.repositories["user/swapper"].commits.values())
    assert [commit.message for commit in commits] == ["initial commit", "the first"]
    assert set(commits[-1].tree) == {".gitattributes", *ALL}
    assert url == f"{hub.endpoint}/user/swapper/commit/{commits[-1].oid}"


def test_an_unchanged_push_makes_no_commit(hub, tmp_path):
    folder = write(tmp_path / "swapper", contents(1))
    assert push(folder) == push(folder)
    assert len(hub.repositories["user/swapper"].commits) == 2


def test_only_the_named_files_are_published(hub, tmp_path):
    folder = write(tmp_path / "swapper", {**contents(1), "state.safetensors": b"secret", "notes.txt": b"private"})
    push(folder)
    repository = hub.repositories["user/swapper"]
    assert set(repository.find("main").tree) == {".gitattributes", *ALL}


def test_a_name_without_a_user_is_published_under_the_tokens_user(hub, tmp_path):
    push(write(tmp_path / "swapper", contents(1)), "swapper")
    assert set(hub.repositories) == {"user/swapper"}
    assert set(ALL) <= set(hub.repositories["user/swapper"].find("main").tree)


def test_only_the_named_files_are_fetched(stocked):
    folder = fetch("user/swapper", files=["config.json"])
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert stocked.requests("store") == []


def test_a_warm_fetch_is_one_request(stocked):
    fetch("user/swapper", files=FILES)
    stocked.log.clear()
    fetch("user/swapper", files=FILES)
    assert len(stocked.log) == 1


def test_files_in_a_subfolder(stocked):
    inside = {f"models/[a]/{name}": data for name, data in contents(2).items()}
    stocked.commit("user/swapper", {**inside, "models/a/config.json": b"another"})
    folder = fetch("user/swapper", files=FILES, subfolder="models/[a]")
    assert read(folder) == of(2)
    assert not (folder.parent / "a").exists()
    assert read(fetch("user/swapper", files=FILES, subfolder="models/[a]/")) == of(2)


@pytest.mark.parametrize("subfolder", ["../other", "/etc", "a/../../b", "a\\b"])
def test_a_subfolder_outside_of_the_repository_is_refused(stocked, subfolder):
    with pytest.raises(HubError, match="is no folder inside a repository"):
        fetch("user/swapper", files=FILES, subfolder=subfolder)
    assert stocked.log == []


def test_the_cache_can_lie_elsewhere(stocked, tmp_path):
    folder = fetch("user/swapper", files=FILES, cache_dir=tmp_path / "mine")
    assert folder.is_relative_to(tmp_path / "mine")
    assert read(folder) == of(1)


# Revisions.


def test_a_revision_is_a_branch_or_a_commit(stocked):
    old = stocked.repositories["user/swapper"].branches["main"]
    stocked.repositories["user/swapper"].branches["exp/one"] = old
    stocked.commit("user/swapper", contents(2))
    stocked.commit("user/swapper", contents(3), branch="exp/one")
    assert read(fetch("user/swapper", files=FILES)) == of(2)
    assert read(fetch("user/swapper", files=FILES, revision="exp/one")) == of(3)
    assert read(fetch("user/swapper", files=FILES, revision=old)) == of(1)


def test_publishing_to_a_new_branch_makes_it_and_leaves_main_alone(hub, tmp_path):
    push(write(tmp_path / "swapper", contents(1)))
    for seed in (2, 3):
        push(write(tmp_path / "swapper", contents(seed)), revision="exp/one")
    assert read(fetch("user/swapper", files=FILES)) == of(1)
    assert read(fetch("user/swapper", files=FILES, revision="exp/one")) == of(3)


def test_a_push_that_lands_between_two_requests_mixes_no_commits(stocked):
    def push_now(request):
        # After the commit is known, before the first of its files is read.
        if "/resolve/" in request.path and stocked.before_request is not None:
            stocked.before_request = None
            stocked.commit("user/swapper", contents(2))

    stocked.before_request = push_now
    assert read(fetch("user/swapper", files=FILES)) == of(1)
    assert stocked.before_request is None
    assert read(fetch("user/swapper", files=FILES)) == of(2)


# What is not there, or not for us.


def test_an_unknown_revision_is_an_error(stocked):
    with pytest.raises(HubError, match=r"'user/swapper' at revision 'nowhere'.*no such revision"):
        fetch("user/swapper", files=FILES, revision="nowhere")


@pytest.mark.parametrize("token", [None, TOKEN])
def test_an_unknown_repository_is_an_error(hub, token):
    with pytest.raises(HubError, match=r"'user/nothing': it does not exist, or it is private"):
        fetch("user/nothing", files=FILES, token=token)


@pytest.mark.parametrize("repo_id", ["no/such/folder", "a b", "/tmp/nothing", "a--b", "", "user/x.git", "../x"])
def test_an_id_that_is_none_is_an_error_without_a_request(hub, repo_id, tmp_path):
    with pytest.raises(HubError, match=rf"'{re.escape(repo_id)}': this is no id"):
        fetch(repo_id, files=FILES)
    with pytest.raises(HubError, match=rf"'{re.escape(repo_id)}'"):
        push(write(tmp_path / "swapper", contents(1)), repo_id)
    assert hub.repositories == {}


def test_a_private_repository_needs_the_token(hub, tmp_path):
    push(write(tmp_path / "swapper", contents(1)), private=True)
    assert hub.repositories["user/swapper"].private
    with pytest.raises(HubError, match="private and this token may not see it.*token="):
        fetch("user/swapper", files=FILES)
    assert read(fetch("user/swapper", files=FILES, token=TOKEN)) == of(1)


def test_a_push_as_private_never_reaches_a_public_repository(stocked, tmp_path):
    before = dict(stocked.repositories["user/swapper"].branches)
    with pytest.raises(HubError, match="exists and is public"):
        push(write(tmp_path / "swapper", contents(2)), private=True)
    assert stocked.repositories["user/swapper"].branches == before
    assert stocked.requests("store|commit") == []


def test_a_gated_repository_says_where_to_ask(stocked):
    stocked.repositories["user/swapper"].gated = True
    with pytest.raises(HubError, match=f"ask for it at {stocked.endpoint}/user/swapper"):
        fetch("user/swapper", files=FILES, token=TOKEN)


def test_a_wrong_token_is_an_error(stocked, tmp_path):
    with pytest.raises(HubError, match="'user/swapper': the Hub does not accept the token"):
        fetch("user/swapper", files=FILES, token="hf_wrong")
    with pytest.raises(HubError, match="'user/swapper': the Hub does not accept the token"):
        push(write(tmp_path / "swapper", contents(2)), token="hf_wrong")
    assert read(fetch("user/swapper", files=FILES)) == of(1)


def test_publishing_without_a_token_is_an_error(hub, tmp_path):
    with pytest.raises(HubError, match="log in with `hf auth login`"):
        push(write(tmp_path / "swapper", contents(1)), token=None)
    with pytest.raises(HubError, match="a token is needed and none is saved"):
        push(write(tmp_path / "swapper", contents(1)), token=True)
    assert hub.repositories == {}


def test_a_file_that_the_repository_lacks_is_named(stocked):
    with pytest.raises(HubError, match=r"'user/swapper' at revision 'main' has no weights.bin .*a condswap model"):
        fetch("user/swapper", files=["config.json", "weights.bin"], revision="main")
    with pytest.raises(HubError, match=r"has no deeper/config.json"):
        fetch("user/swapper", files=["config.json"], subfolder="deeper")


# Connections that break.


def test_a_dropped_download_is_resumed_where_it_broke_off(stocked):
    stocked.faults.append(Fault("GET /store/", drop_after=3000))
    assert read(fetch("user/swapper", files=FILES)) == of(1)
    assert len(stocked.requests("GET /store/")) == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"match": "GET /store/", "drop_after": 3000},
        {"match": "GET /store/", "drop_after": 0},
        {"match": "GET /store/", "truncate_to": 3000},
        {"match": "GET /store/", "hang_up": True},
        {"match": "GET /store/", "status": 403},
        {"match": "GET /store/", "status": 500},
        {"match": "resolve/.*config.json", "hang_up": True},
        {"match": "resolve/.*safetensors", "status": 503},
        {"match": "/tree/", "hang_up": True},
        {"match": "/tree/", "drop_after": 10},
        {"match": "/tree/", "truncate_to": 10},
        {"match": "/revision/|swapper$", "hang_up": True},
        {"match": "/revision/|swapper$", "status": 502},
        {"match": "/revision/|swapper$", "truncate_to": 10},
        {"match": "", "status": 429},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())).replace("/", "_"),
)
def test_a_fetch_that_fails_returns_nothing_and_leaves_no_half_file(stocked, fault, tmp_path):
    # A drop that always gives some bytes more would be resumed to the end, so each try gets none of the later ones.
    if fault.get("drop_after"):
        stocked.faults.append(Fault(**fault))
        fault = {**fault, "drop_after": 0}
    stocked.faults.append(Fault(**fault, times=1000))
    with pytest.raises(HubError, match="cannot fetch 'user/swapper'"):
        fetch("user/swapper", files=FILES)
    for path in (tmp_path / "hub_home").rglob("model.safetensors"):
        assert path.read_bytes() == contents(1)["model.safetensors"]
    assert list((tmp_path / "hub_home").rglob("*.incomplete")) == []
    stocked.faults.clear()
    assert read(fetch("user/swapper", files=FILES)) == of(1)


def test_a_server_that_hangs_up_does_not_matter_to_a_warm_cache(stocked):
    fetch("user/swapper", files=FILES)
    stocked.faults.append(Fault("", hang_up=True, times=1000))
    assert read(fetch("user/swapper", files=FILES)) == of(1)


def test_a_server_that_is_gone_does_not_matter_to_a_warm_cache(stocked):
    fetch("user/swapper", files=FILES)
    stocked.close()
    assert read(fetch("user/swapper", files=FILES)) == of(1)


def test_a_server_that_is_gone_and_a_cold_cache_is_an_error(stocked, tmp_path):
    stocked.close()
    with pytest.raises(HubError, match=f"the connection to {stocked.endpoint} could not be made or broke off"):
        fetch("user/swapper", files=FILES)
    with pytest.raises(HubError, match=f"cannot publish 'user/swapper': the connection to {stocked.endpoint}"):
        push(write(tmp_path / "swapper", contents(2)))


@pytest.mark.parametrize("how", ["setting", "argument"])
def test_offline_with_a_warm_cache_asks_nobody(stocked, how, monkeypatch):
    fetch("user/swapper", files=FILES)
    stocked.log.clear()
    go_offline(monkeypatch, how)
    assert read(fetch("user/swapper", files=FILES, local_files_only=how == "argument")) == of(1)
    assert stocked.log == []


@pytest.mark.parametrize("how", ["setting", "argument"])
def test_offline_with_a_cold_cache_is_an_error(stocked, how, monkeypatch):
    go_offline(monkeypatch, how)
    with pytest.raises(HubError, match="the network is not to be used and the cache has no whole copy.*HF_HUB_OFFLINE"):
        fetch("user/swapper", files=FILES, local_files_only=how == "argument")
    assert stocked.log == []


def test_offline_with_part_of_the_files_is_an_error(stocked):
    fetch("user/swapper", files=["config.json"])
    with pytest.raises(HubError, match=r"cannot fetch 'user/swapper'.*the cache has no whole copy"):
        fetch("user/swapper", files=FILES, local_files_only=True)


def go_offline(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "setting":
        from huggingface_hub import constants
        from huggingface_hub.utils import close_session

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        close_session()  # a client that was made online stays so


# Pushes that fail.


@pytest.mark.parametrize(
    ("match", "cure"),
    [
        ("POST /api/repos/create", "not allowed"),
        ("preupload", "not allowed"),
        ("objects/batch", "not allowed"),
        ("PUT /store", "not allowed"),
        ("objects/verify", "not allowed"),
        ("/commit/", "not allowed"),
    ],
)
def test_a_push_that_the_hub_forbids_is_an_error_and_changes_no_file(hub, match, cure, tmp_path):
    hub.faults.append(Fault(match, status=403, times=1000))
    folder = write(tmp_path / "swapper", contents(1))
    with pytest.raises(HubError, match=f"cannot publish 'user/swapper': .*{cure}"):
        push(folder)
    assert all(set(repository.find("main").tree) == {".gitattributes"} for repository in hub.repositories.values())
    hub.faults.clear()
    push(folder)
    assert read(fetch("user/swapper", files=ALL), ALL) == of(1, ALL)


def test_a_push_to_somebody_elses_name_is_an_error(hub, tmp_path):
    with pytest.raises(HubError, match="cannot publish 'somebody/swapper': the token is not allowed"):
        push(write(tmp_path / "swapper", contents(1)), "somebody/swapper")


def test_a_card_that_the_hub_refuses_is_an_error_with_its_reason(hub, tmp_path):
    hub.card_errors.append('"license" must be one of [mit]')
    with pytest.raises(HubError, match=r"cannot publish 'user/swapper': .*\"license\" must be one of \[mit\]"):
        push(write(tmp_path / "swapper", contents(1)))
    assert set(hub.repositories["user/swapper"].find("main").tree) == {".gitattributes"}


def test_a_push_whose_connection_breaks_is_an_error(hub, tmp_path):
    hub.faults.append(Fault("/commit/", hang_up=True, times=1000))
    with pytest.raises(HubError, match="cannot publish 'user/swapper': the connection to"):
        push(write(tmp_path / "swapper", contents(1)))
    assert set(hub.repositories["user/swapper"].find("main").tree) == {".gitattributes"}


def test_a_file_that_is_missing_here_is_an_error_before_any_request(hub, tmp_path):
    folder = write(tmp_path / "swapper", of(1, ("config.json",)))
    with pytest.raises(HubError, match=r"model\.safetensors is not in .*swapper"):
        push(folder)
    assert hub.log == []


# The disk.


def test_a_cache_that_cannot_be_written_is_an_error(stocked, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(HubError, match="the disk refused.*cache_dir="):
        fetch("user/swapper", files=FILES, cache_dir=tmp_path / "file" / "cache")


def test_a_full_disk_is_an_error_and_leaves_no_half_file(stocked, tmp_path, monkeypatch):
    from huggingface_hub import file_download

    def full(*args: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(file_download, "_chmod_and_move", full)
    with pytest.raises(HubError, match="the disk refused; check the free space.*No space left"):
        fetch("user/swapper", files=FILES)
    assert list((tmp_path / "hub_home").rglob("model.safetensors")) == []


# Secrets.


def shown(error: BaseException) -> str:
    """All that a traceback of the error can show, its causes included."""
    import traceback

    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("said", ["{token}", "Bearer {token}"])
@pytest.mark.parametrize("token", ["hf_" + "aB3" * 12, "s3cret-of-another-kind"])
def test_no_error_shows_the_token(stocked, token, said, tmp_path):
    folder = write(tmp_path / "swapper", contents(2))
    stocked.faults.append(Fault("", status=418, message=f"not {said.format(token=token)}!", times=1000))
    for call in (lambda: fetch("user/swapper", files=FILES, token=token), lambda: push(folder, token=token)):
        with pytest.raises(HubError, match=r"not .*\*\*\*") as caught:
            call()
        assert token not in shown(caught.value)
    assert {request.token for request in stocked.log} == {token}


def test_no_error_shows_the_saved_token(stocked, monkeypatch):
    token = "hf_" + "aB3" * 12
    monkeypatch.setenv("HF_TOKEN", token)
    stocked.faults.append(Fault("", status=418, message=f"not {token}!", times=1000))
    with pytest.raises(HubError, match=r"not \*\*\*!") as caught:
        fetch("user/swapper", files=FILES)
    assert token not in shown(caught.value)
    assert stocked.log[0].token == token


@pytest.mark.parametrize("token", ["", " ", "hf_secret\n", "hf secret", "hf_s\u00e9cret", "hf_secret\x00"])
def test_a_token_that_cannot_be_one_is_refused_unsent_and_unshown(stocked, token, tmp_path):
    folder = write(tmp_path / "swapper", contents(2))
    for call in (lambda: fetch("user/swapper", files=FILES, token=token), lambda: push(folder, token=token)):
        with pytest.raises(HubError, match="'user/swapper'.*copy it again") as caught:
            call()
        assert "cret" not in str(caught.value)
        assert caught.value.__context__ is None
    assert stocked.log == []


def test_the_token_is_not_sent_to_the_store(hub, tmp_path):
    push(write(tmp_path / "swapper", contents(1)), private=True)
    fetch("user/swapper", files=FILES, token=TOKEN)
    assert {request.token for request in hub.requests("/store/")} == {None}
    assert len(hub.requests("PUT /store/")) == len(hub.requests("GET /store/")) == 1


def test_a_hub_error_is_caught_by_who_knows_nothing_of_condswap(hub):
    with pytest.raises(OSError, match="user/nothing") as caught:
        fetch("user/nothing", files=FILES)
    assert isinstance(caught.value, CondswapError)


def test_the_hub_client_is_imported_only_when_it_is_used():
    code = "import sys, condswap.hub; sys.exit('huggingface_hub' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
