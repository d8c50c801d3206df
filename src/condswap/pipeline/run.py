"""From the file of a picture or a video, or a folder of both, to another one with the faces swapped: `condswap swap`."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from condswap.cgan import CGAN
from condswap.data.reading import template_beside
from condswap.decoding import colour_profile, decode_mask
from condswap.errors import ConfigError, DataError
from condswap.faces.find import FaceFinder
from condswap.faces.tracks import Track
from condswap.files import make_writable_folder, write_atomically
from condswap.generator import AnyLabel, AnySource
from condswap.pictures import save_picture
from condswap.pipeline.choose import PLACES, choose_by_likeness, choose_by_place
from condswap.pipeline.outputs import Done, Signature, Swapped, check_name, target_of
from condswap.pipeline.preview import Moment, save_sheet
from condswap.pipeline.search import Identity, frames_at, read_upright, vector_of, who_is
from condswap.pipeline.sources import Source, find_sources
from condswap.pipeline.swapper import FaceSwapper, Look, Wanted
from condswap.pipeline.videos import NoFaceError, Plan, plan_video, swap_video, work_folder
from condswap.pretrained import mark_of
from condswap.progress import Progress
from condswap.provenance import mark_file, sign
from condswap.templates import Template, agreed
from condswap.video import VideoInfo

_SHEET = 8  # moments that a preview shows


class Swapping:
    """Swaps the faces of files.

    Args:
        model: paints the faces.
        to: whom to show: a class, or a blend {name: weight}.
        finder: opens what finds the faces; it is asked for only when there is something to be searched.
        source: the class of who is in the pictures, where that is known.
        only: whose faces are swapped: one of "largest", "left", "centre", "right" and "all", or a picture of the person.
        identity: faces (b, 3, h, w) to vectors (b, d), with which a person is told by a picture.
        look: how the faces are put into the pictures.
        template: how the model's faces are cut out; None asks the model.
        smooth: over how many frames of a video, to either side, the points are made steady.
        signature: signs what is written.
        preset: of the video encoder x264.
        quality: its constant rate factor, from 0, the best, to 51.

    Raises:
        ConfigError: an argument is wrong, or a picture of a person came without an identity network.
        DataError: there is no such class, or no face in the picture of the person.
    """

    def __init__(
        self,
        model: CGAN,
        *,
        to: AnyLabel,
        finder: Callable[[], FaceFinder],
        source: str | None = None,
        only: str | Path = "largest",
        identity: Identity | None = None,
        look: Look | None = None,
        template: Template | None = None,
        smooth: float = 2.0,
        signature: Signature | None = None,
        preset: str = "veryfast",
        quality: float = 16,
    ) -> None:
        self.swapper = FaceSwapper(model, to=to, look=look, template=template)
        if source is not None:
            model.generator.index(source)
        self.source: AnySource | None = source
        self._template = template or model.template  # None where nobody said
        self.smooth, self.preset, self.quality = smooth, preset, quality
        self.mark, self.signature = mark_of(model), signature
        self.only, self.identity = only, identity
        self._stack, self._open = ExitStack(), finder
        self._finder: FaceFinder | None = None
        self._person: Tensor | None = None
        if str(only) not in PLACES:
            if identity is None:
                raise ConfigError(
                    f"only={str(only)!r} is none of {', '.join(PLACES)}; to tell a person by a picture give an identity "
                    "network, too: --identity FILE.onnx"
                )
            self._person = self._vector_in(Path(only), identity)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the networks go that find faces."""
        self._stack.close()

    def swap(self, given: Path, out: Path) -> Swapped:
        """Swap the faces of a picture, a video, or all that lie in a folder.

        What of a folder has no face that is meant is copied as it is.

        Args:
            given: the file or folder.
            out: the file, or the folder that is made for a folder.

        Raises:
            DataError: it cannot be read, or no face was found or meant; nothing is written then.
            ConfigError: the name of `out` does not suit.
        """
        sources, refused = find_sources([given])
        if out.resolve() == given.resolve():
            raise ConfigError(f"{out} is what is to be swapped; write to another place")
        if not given.is_dir():
            check_name(sources[0], out)
            return Swapped(files=[out], lacking=self._swap_one(sources[0], out))
        make_writable_folder(out)
        files: list[Path] = []
        untouched: list[Path] = []
        lacking: list[str] = []
        title = f"swapping {given}"
        with Done(out, self._settings(None)) as done, Progress(len(sources), title=title, delay=2.0) as progress:
            for number, source in enumerate(sources):
                progress.update(number)
                target, became = target_of(source, given, out), done.was(source.path)
                if became is None:
                    try:
                        lacking += self._swap_one(source, target)
                        became = "swapped"
                    except NoFaceError:
                        write_atomically(out / source.path.name, partial(shutil.copyfile, source.path))
                        became = "untouched"
                    except DataError as error:
                        refused.append((source.path, str(error)))
                        continue
                    done.add(source.path, became)
                if became == "swapped":
                    files.append(target)
                else:
                    untouched.append(source.path)
            progress.update(len(sources))
        done.forget()
        if not files:
            told = "".join(f"\n  {path}: {reason}" for path, reason in refused[:3])
            raise DataError(f"no face that was meant was found in {given}{told}")
        return Swapped(files=files, untouched=untouched, unreadable=refused, lacking=lacking)

    def preview(self, given: Path, out: Path, sheet: Path) -> int:
        """Write a sheet of some moments, before and after, and give how many it shows; what was found of a video is kept.

        Args:
            given: as in `swap`.
            out: as in `swap`; nothing is written there.
            sheet: the picture to write, such as sheet.png.

        Raises:
            DataError: as in `swap`.
        """
        sources, _ = find_sources([given])
        each = max(1, _SHEET // len(sources))
        moments = [
            moment
            for source in sources[:_SHEET]
            for moment in self._moments(source, target_of(source, given, out), each)
        ]
        if not moments:
            raise DataError(f"no face that was meant was found in {given}; nothing was written")
        save_sheet(sheet, moments, mark=self.mark)
        return len(moments)

    def _moments(self, source: Source, out: Path, count: int) -> Sequence[Moment]:
        if not source.is_video:
            frame, _ = read_upright(source.path)
            mask = self._mask_of_aligned(source.path, frame)
            wanted = self._wanted(frame) if mask is None else []
            shown = self._swapped(frame, wanted, mask)
            return [] if shown is None else [Moment(source.path.name, frame, shown, wanted)]
        plan = self._plan(source.path, out)
        numbers = sorted(plan.wanted) or list(range(plan.info.frame_count))
        chosen = [numbers[place * (len(numbers) - 1) // max(1, count - 1)] for place in range(min(count, len(numbers)))]
        moments = []
        for number, frame in frames_at(plan.info, chosen):
            faces = plan.wanted.get(number, ())
            (shown,) = self.swapper.swap([frame], [faces]) if faces else self.swapper.aligned([frame], self.source)
            moments.append(Moment(f"frame {number}", frame, shown, faces))
        return moments

    def _swap_one(self, source: Source, out: Path) -> list[str]:
        """Swap the faces of one file, and give what it lacks."""
        if not source.is_video:
            self._swap_picture(source.path, out)
            return []
        plan = self._plan(source.path, out)
        lacking = swap_video(
            plan,
            out,
            self.swapper,
            settings=self._settings(source.path),
            finish=self._finish,
            source=self.source,
            preset=self.preset,
            quality=self.quality,
        )
        cut_off = [f"{source.path} was cut off: what is whole of it is there"] if plan.info.is_truncated else []
        return [*lacking, *cut_off]

    def _settings(self, path: Path | None) -> dict[str, Any]:
        """Give all that the frames of a video, or those of any file, depend on, as JSON."""
        file = None if path is None else path.stat()
        return {
            "source": None if file is None else [str(path), file.st_size, file.st_mtime_ns],
            "model": self.mark.model_id,
            "template": self.swapper.template.config(),
            "to": str(self.swapper.to),
            "from": str(self.source),
            "only": [str(self.only), None if self._person is None else self._person.tolist()],
            "smooth": self.smooth,
            "look": asdict(self.swapper.look),
            "encoder": [self.preset, self.quality],
            "finder": None if self._finder is None else self._finder.config(),
        }

    def _swap_picture(self, path: Path, out: Path) -> None:
        frame, alpha = read_upright(path)
        mask = self._mask_of_aligned(path, frame)
        swapped = self._swapped(frame, self._wanted(frame) if mask is None else [], mask)
        if swapped is None:
            raise NoFaceError(f"no face that was meant was found in {path}; nothing was written")
        shown = swapped.float() / 255
        if alpha is not None and out.suffix.lower() in (".png", ".webp"):
            shown = torch.cat((shown, alpha.float() / 255))
        profile = colour_profile(path)

        def write(temporary: Path) -> None:
            save_picture(shown, temporary, mark=self.mark, profile=profile)
            self._sign(temporary)

        write_atomically(out, write)

    def _finish(self, video: Path) -> None:
        mark_file(video, self.mark)
        self._sign(video)

    def _sign(self, path: Path) -> None:
        if self.signature is not None:
            sign(path, key=self.signature.key, certificate=self.signature.certificate)

    def _plan(self, path: Path, out: Path) -> Plan:
        return plan_video(
            path,
            work_folder(out),
            self.swapper,
            finder=self._faces,
            choose=self._choose,
            source=self.source,
            smooth=self.smooth,
        )

    def _faces(self) -> FaceFinder:
        if self._finder is None:
            self._finder = self._stack.enter_context(self._open())
        return self._finder

    def _mask_of_aligned(self, path: Path, frame: Tensor) -> Tensor | None:
        """Give where the face is in a picture that is an aligned face, (1, size, size); None for others.

        An aligned face is what has its mask beside it, as `condswap extract` writes it, or is of the model's own size.
        """
        size, beside = self.swapper.size, path.with_name(f"{path.stem}.mask.png")
        if frame.shape[1] == frame.shape[2] and beside.is_file():
            try:
                agreed(self._template, template_beside(path))
                return decode_mask(beside, image_size=size).float() / 255
            except DataError as error:
                raise DataError(f"cannot use {path} and {beside.name}: {error}") from error
        return torch.ones(1, size, size) if tuple(frame.shape[1:]) == (size, size) else None

    def _wanted(self, frame: Tensor) -> list[Wanted]:
        """Find the faces of a picture that are meant."""
        tracks = [Track([0], [face]) for face in self._faces().find(frame)]
        if self._person is not None and self.identity is not None and tracks:
            vectors = torch.stack([vector_of(frame, track.faces[0], self.identity) for track in tracks])
            tracks = choose_by_likeness(tracks, vectors, self._person)
        elif self._person is None:
            tracks = choose_by_place(tracks, str(self.only), width=frame.shape[2])
        return [Wanted(track.faces[0], self.source) for track in tracks]

    def _choose(self, info: VideoInfo, tracks: Sequence[Track]) -> Sequence[Track]:
        """Choose the tracks of a video that are meant."""
        if self._person is None or self.identity is None:
            return choose_by_place(tracks, str(self.only), width=info.width)
        return choose_by_likeness(tracks, who_is(info, tracks, self.identity), self._person)

    def _swapped(self, frame: Tensor, wanted: Sequence[Wanted], mask: Tensor | None) -> Tensor | None:
        """Swap the faces of a picture, or an aligned face; None where there is neither."""
        if mask is not None:
            return self.swapper.aligned([frame], self.source, mask=mask)[0]
        return self.swapper.swap([frame], [wanted])[0] if wanted else None

    def _vector_in(self, path: Path, identity: Identity) -> Tensor:
        """Give the vector of the largest face in a picture of a person."""
        frame, _ = read_upright(path)
        faces = self._faces().find(frame)
        if not faces:
            raise DataError(f"no face was found in {path}; give another picture of the person")
        return vector_of(frame, faces[0], identity)
