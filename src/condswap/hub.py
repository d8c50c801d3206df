"""Folders to and from the Hugging Face Hub.

The only file that knows `huggingface_hub`, which is imported inside the functions because its import costs time. It
moves files and knows nothing of models. Every failure is a `HubError` that names the repository and the cure; no
transport's own exceptions are named here, since the Hub client has changed its transport twice.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from glob import escape
from pathlib import Path, PurePosixPath

from condswap.errors import HubError

_NETWORKS = (".onnx", ".task")  # how the names of files end that are no repositories

__all__ = ["fetch", "publish"]


def fetch(
    repo_id: str,
    *,
    files: Sequence[str],
    revision: str | None = None,
    subfolder: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """Give the local folder that holds `files` of one commit of a repository.

    All files come from the commit that `revision` named when the call began, even if somebody pushes meanwhile. When
    the Hub cannot be reached, or refuses, a copy in the cache is used.

    Args:
        repo_id: `"user/name"`.
        files: names, all of them needed, in the repository's root or in `subfolder`.
        revision: a branch, a tag or a commit; None for the default branch.
        subfolder: a folder of the repository, with forward slashes, or None.
        token: a token, None for the saved one, False for none.
        cache_dir: where the copies are kept, None for the Hub client's own cache.
        local_files_only: ask nobody, look in the cache only.

    Raises:
        HubError: the id, subfolder or token cannot be used; the repository, revision or one of the files does not exist
            or may not be read; there is no connection and no copy; the copy cannot be written.

    Example:
        >>> fetch("nobody/nothing at all", files=["config.json"])
        Traceback (most recent call last):
            ...
        condswap.errors.HubError: cannot fetch 'nobody/nothing at all': this is no id of a repository on the Hub...
    """
    place = repr(repo_id) + (f" at revision {revision!r}" if revision is not None else "")
    folder = _folder_inside(subfolder, place)
    _check_token(token, place)

    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    def download(*, from_cache: bool) -> Path:
        snapshot = snapshot_download(
            repo_id,
            revision=revision,
            # Patterns, to the client: a name with a star or a bracket has to stay a name.
            allow_patterns=[escape(str(folder / name)) for name in files],
            token=token,
            cache_dir=cache_dir,
            local_files_only=from_cache,
            library_name="condswap",
        )
        return Path(snapshot)

    try:
        snapshot = download(from_cache=local_files_only)
    except (OSError, HFValidationError) as error:
        raise _hub_error(error, doing=f"fetch {place}", repo_id=repo_id, token=token) from _cause(error, token)
    except Exception as error:
        # What is left is the transport's own, such as a server that hangs up: the client looks into its cache only
        # after some of these.
        try:
            snapshot = download(from_cache=True)
        except Exception:
            raise _hub_error(error, doing=f"fetch {place}", repo_id=repo_id, token=token) from _cause(error, token)

    for name in files:
        if not (snapshot / folder / name).is_file():
            raise HubError(
                f"{place} has no {folder / name} (commit {snapshot.name}); is it a condswap model? "
                "Check the id, revision= and subfolder="
            )
    return snapshot / folder


def find_file(given: str | Path, *, unnamed: str = "model.onnx") -> Path:
    """Give the path of a file: the path itself, or what was fetched from the Hub under that name.

    Args:
        given: a path, `"user/name"` on the Hub, or `"user/name/file.onnx"`. What is there as a file goes first; a path that is
            no file, such as `"./net.onnx"` or `"net.onnx"`, is given back as it is.
        unnamed: the file of a repository where none is named.

    Raises:
        HubError: it can only be meant as a file on the Hub and cannot be fetched.

    Example:
        >>> find_file("no-such.onnx").name
        'no-such.onnx'
    """
    path = Path(given).expanduser()
    name = str(given)
    words = name.split("/")
    names_a_file = bool(path.suffix) and (len(words) > 2 or path.suffix.lower() in _NETWORKS)
    local = isinstance(given, Path) or name.startswith((".", "/", "~")) or "\\" in name
    if path.exists() or local or len(words) < (3 if names_a_file else 2) or (len(words) > 2 and not names_a_file):
        return path
    repo_id, file = "/".join(words[:2]), "/".join(words[2:]) or unnamed
    try:
        return fetch(repo_id, files=[file]) / file
    except HubError as error:
        raise HubError(f"{name} is no file here, and {file} is not to be had from the Hub: {error}") from error


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    files: Sequence[str],
    private: bool | None,
    token: str | bool | None = None,
    revision: str | None = None,
    message: str,
) -> str:
    """Put `files` of a folder into a repository as one commit and give that commit's URL.

    The repository, and the branch `revision`, are made when they are missing; `private` None makes a private one, and
    leaves one that is there as it is. A commit is all or nothing: when it
    fails, the repository shows none of the files. Pushing what is already there makes no new commit.

    Raises:
        HubError: a file is missing here; the id or token cannot be used; the Hub refuses; there is no connection;
            `private` is asked for and the repository exists and is public, which a push does not change.

    Example:
        >>> publish(".", "user/swapper", files=["no such file"], private=True, message="one more person")
        Traceback (most recent call last):
            ...
        condswap.errors.HubError: cannot publish 'user/swapper': no such file is not in ...
    """
    folder = Path(folder)
    place = repr(repo_id) + (f" at revision {revision!r}" if revision is not None else "")
    doing = f"publish {place}"
    for name in files:
        if not (folder / name).is_file():
            raise HubError(f"cannot {doing}: {name} is not in {folder.resolve()}; save the model there first")
    _check_token(token, place)

    from huggingface_hub import CommitOperationAdd, HfApi

    try:
        api = HfApi(token=token, library_name="condswap")
        repo_id = api.create_repo(repo_id, private=private is not False, exist_ok=True).repo_id
        public = private is True and not api.repo_info(repo_id).private
        if not public:
            if revision is not None and not api.revision_exists(repo_id, revision):
                api.create_branch(repo_id, branch=revision)
            # Not upload_folder, which may split what it uploads into several commits.
            operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name) for name in files]
            with warnings.catch_warnings():
                # The client's quarrel with its own transport, which would fail an upload where warnings are errors.
                warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)
                commit = api.create_commit(repo_id, operations=operations, commit_message=message, revision=revision)
    except Exception as error:
        raise _hub_error(error, doing=doing, repo_id=repo_id, token=token) from _cause(error, token)
    if public:
        raise HubError(
            f"cannot {doing} as private: it exists and is public; make it private in its settings on the Hub, "
            "choose another id, or pass private=False. Nothing was uploaded"
        )
    return str(commit.commit_url)


def _folder_inside(subfolder: str | None, place: str) -> PurePosixPath:
    """Give the subfolder as a path inside the repository, `.` for the root."""
    folder = PurePosixPath(subfolder or ".")
    if folder.is_absolute() or ".." in folder.parts or "\\" in str(folder):
        raise HubError(
            f"cannot fetch {place}: subfolder {subfolder!r} is no folder inside a repository; "
            "give it as 'folder' or 'folder/inside', with forward slashes"
        )
    return folder


def _check_token(token: str | bool | None, place: str) -> None:
    """Refuse a token that cannot stand in a header, before the transport quotes it in an error."""
    if isinstance(token, str) and re.fullmatch("[!-~]+", token) is None:
        raise HubError(
            f"cannot use the token given for {place}: it is empty or contains spaces, line ends or letters that no "
            "token has; copy it again, or pass None to use the saved one"
        )


def _hub_error(error: Exception, *, doing: str, repo_id: str, token: str | bool | None) -> HubError:
    """Say in our words what the client's exception means."""
    said = "; ".join(dict.fromkeys(f"{type(link).__name__}: {link}" for link in _causes(error)))
    said = " ".join(_without_secrets(said, token).split())
    return HubError(f"cannot {doing}: {_cure(error, repo_id)} [{said if len(said) <= 400 else said[:400] + '...'}]")


def _cure(error: Exception, repo_id: str) -> str:
    """Say what is wrong and what to do, from the client's exception and those behind it."""
    from huggingface_hub import constants, errors

    chain = list(_causes(error))

    def is_a(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    if is_a(errors.HFValidationError):
        return (
            "this is no id of a repository on the Hub (needed: 'user/name' of letters, digits, '-', '_' and '.'); "
            "if a folder was meant, there is none of that name"
        )
    if is_a(errors.GatedRepoError):
        return f"its owner grants access on request; ask for it at {constants.ENDPOINT}/{repo_id}, then pass your token"
    if is_a(errors.RepositoryNotFoundError):
        return (
            "it does not exist, or it is private and this token may not see it; check the id, and log in with "
            "`hf auth login` or pass token="
        )
    if is_a(errors.RevisionNotFoundError):
        return "the repository is there, but it has no such revision; name an existing branch, tag or commit"
    for link in chain:
        if isinstance(link, errors.HfHubHTTPError):
            return _status_cure(link.response.status_code)
    if is_a(errors.LocalTokenNotFoundError):
        return "a token is needed and none is saved; log in with `hf auth login` or pass token="
    if is_a(errors.OfflineModeIsEnabled) or (isinstance(error, errors.LocalEntryNotFoundError) and len(chain) == 1):
        return (
            "the network is not to be used and the cache has no whole copy; go online once (unset HF_HUB_OFFLINE, no "
            "local_files_only) or set cache_dir= to where the copy lies"
        )
    if isinstance(error, OSError) and error.errno is not None:
        return "the disk refused; check the free space and the rights of the folder (cache_dir= or HF_HOME moves it)"
    if isinstance(error, ValueError):
        return f"{constants.ENDPOINT} gave something that cannot be used; what was said follows"
    return f"the connection to {constants.ENDPOINT} could not be made or broke off; check it, then try again"


def _status_cure(status: int) -> str:
    """Say what to do about a status code of the Hub."""
    if status == 401:
        return "the Hub does not accept the token, or needs one; log in with `hf auth login` or pass a valid token="
    if status == 403:
        return (
            "the token is not allowed to do this; make one with the right to it (write, to publish), pass it as token="
        )
    if status == 429:
        return "too many requests; wait a few minutes, then try again"
    if status >= 500:
        return f"the Hub has a fault (status {status}); try again later"
    return f"the Hub refused (status {status}); what it said follows"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an exception and those that it was raised from, down to the Hub's own answer."""
    from huggingface_hub.errors import HfHubHTTPError

    link: BaseException | None = error
    while link is not None:
        yield link
        link = None if isinstance(link, HfHubHTTPError) else link.__cause__


def _cause(error: Exception, token: str | bool | None) -> Exception | None:
    """Give the exception to raise from: none when a traceback of it would show a token."""
    for link in _causes(error):
        if _without_secrets(str(link), token) != str(link):
            return None
    return error


def _without_secrets(text: str, token: str | bool | None) -> str:
    """Replace the token, and whatever looks like one, by stars."""
    if isinstance(token, str):
        text = text.replace(token, "***")
    return re.sub(r"hf_[\w.-]{20,}|(?<=Bearer )[^\s'\"]+", "***", text)
