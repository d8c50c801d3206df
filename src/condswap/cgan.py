"""The conditional GAN: a generator and a discriminator that know the same classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from condswap import hub, pretrained
from condswap.assembly import check_config, check_history, default_parts, paper_parts
from condswap.component import build
from condswap.errors import ConfigError, ShapeError
from condswap.export import export_dfm, export_onnx
from condswap.generator import AnyLabel, AnySource, Generator, check_classes, check_part, check_range, evaluating
from condswap.losses import gaussian_blur
from condswap.model_card import model_card
from condswap.objective import Objective
from condswap.roles import Bottleneck, Decoder, Discriminator, Encoder, Stranger
from condswap.templates import Template
from condswap.types import Image, Mask, Shape

FORMAT = 1  # of config.json; raised when an older condswap could not read a new file
_EDGE = 0.02  # of the height: how wide the edge of a swap is softened


class CGAN(nn.Module):
    """A conditional GAN that shows a face as any of its classes.

    Args:
        encoder: image to features.
        bottleneck: features to the features of the class to show.
        decoder: features to a face.
        discriminator: tells real pictures of a class from made ones.
        classes: the names of the people (or styles, or objects), in the order of their numbers.
        objective: what training asks of it; None for the default.
        masked_input: hide everything but the face from the encoder wherever a mask is given.

    Raises:
        ShapeError: two parts do not fit; the message has both shapes and the cure.
        ConfigError: a part plays another role or counts other classes, or the names are no names.

    Example:
        >>> import torch
        >>> model = CGAN.default(32, classes=["anna", "bob"])
        >>> model.swap(torch.rand(1, 3, 32, 32), "bob").shape
        torch.Size([1, 3, 32, 32])
    """

    def __init__(
        self,
        encoder: Encoder,
        bottleneck: Bottleneck,
        decoder: Decoder,
        discriminator: Discriminator,
        *,
        classes: Sequence[str],
        objective: Objective | None = None,
        masked_input: bool = True,
    ) -> None:
        super().__init__()
        self.generator = Generator(encoder, bottleneck, decoder, classes=classes, masked_input=masked_input)
        check_part(discriminator, Discriminator, len(self.classes))
        if tuple(discriminator.in_shape) != tuple(decoder.out_shape):
            raise ShapeError(
                f"the decoder gives {tuple(decoder.out_shape)} but the discriminator takes "
                f"{tuple(discriminator.in_shape)}; build it with decoder.out_shape"
            )
        self.discriminator = discriminator
        self.objective = objective or Objective()
        self.history: dict[str, str | int | float] = {}  # how it was trained, for the model card
        self.template: Template | None = None  # how its faces are cut out; None where nobody said

    @classmethod
    def default(
        cls,
        image_size: int | Sequence[int],
        *,
        classes: Sequence[str],
        bottleneck: str = "cross_attention",
        noise: float = 0.3,
    ) -> Self:
        """Assemble the network that we recommend.

        Args:
            image_size: the side of a square picture, or (height, width), in pixels; multiples of 16 from 64 to 112 pixels, of
                32 from 128 to 224, and so on, so that the shorter side of the code has four to seven places.
            classes: the names of the classes.
            bottleneck: "cross_attention" or "mlp".
            noise: deviation of what is added to the code in training, where the code's own is 1. It hides what is left of the
                person in the picture, and of the mouth, too; where guides look at the swaps, take less.

        Raises:
            ShapeError: the size does not divide; the message says which sizes do.
            ConfigError: the bottleneck is not known, or the noise is no number from 0 up.

        Example:
            >>> CGAN.default(64, classes=["anna", "bob"], bottleneck="mlp").classes
            ('anna', 'bob')
        """
        parts = default_parts(image_size, num_classes=len(check_classes(classes)), bottleneck=bottleneck, noise=noise)
        return cls(*parts, classes=classes)

    @classmethod
    def paper(cls, image_size: int | Sequence[int], *, classes: Sequence[str], bottleneck: str = "mlp") -> Self:
        """Assemble the network of the paper with its losses, to compare with; train it with `TrainerConfig.paper()`.

        Args:
            image_size: the side of a square picture, or (height, width), in pixels; multiples of 32. The paper's is 512.
            classes: the names of the classes.
            bottleneck: "mlp" or "attention".

        Raises:
            ShapeError: the size does not divide; the message says which sizes do.
            ConfigError: the bottleneck is not known.

        Example:
            >>> CGAN.paper(64, classes=["anna", "bob"]).objective.dssim
            200.0
        """
        parts = paper_parts(image_size, num_classes=len(check_classes(classes)), bottleneck=bottleneck)
        return cls(*parts, classes=classes, objective=Objective.paper(), masked_input=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return self.generator.classes

    @property
    def image_shape(self) -> Shape:
        """The shape (3, h, w) of the pictures that the model takes and gives."""
        return tuple(self.generator.encoder.in_shape)

    def forward(self, image: Image, label: AnyLabel) -> Image:
        """Show the picture as a class, background and all, as the decoder paints it.

        Args:
            image: (b, 3, h, w) in [0, 1].
            label: the class to show: a name, a number, or int64 (b).

        Raises:
            ShapeError: the picture has another size than the model.
            DataError: the picture is not in [0, 1], or there is no such class.
        """
        self._check(image)
        return self.generator(image, label).image

    @torch.no_grad()
    def swap(self, image: Image, to: AnyLabel, *, source: AnySource | None = None, mask: Mask | None = None) -> Image:
        """Replace the face in a picture by that of a class; the rest of the picture stays.

        Args:
            image: (b, 3, h, w) in [0, 1].
            to: the class to show: a name, a number, one of these a picture, int64 (b), or a blend {name: weight}.
            source: the class of the person in the picture, when known, or the `stranger` in all of them; the model guesses
                otherwise.
            mask: (b, 1, h, w) in [0, 1], 1 = face. Where it is 0 the picture comes back bit for bit; without one the
                model's own mask is used.

        Returns:
            (b, 3, h, w) in [0, 1].

        Raises:
            ShapeError: picture or mask have another size than the model.
            DataError: picture or mask are not in [0, 1], or there is no such class.
            ConfigError: a blend was asked of a part that cannot blend.
        """
        self._check(image, mask)
        with evaluating(self):
            face = self.generator(image, to, source, mask)
        region = face.mask if mask is None else face.mask * mask
        blurred = gaussian_blur(region, sigma=_EDGE * region.shape[-2])
        soft = (2 * blurred - 1).clamp(0, 1)  # fades out before the edge, not across it
        if mask is not None:
            soft = soft * (mask > 0)
        return torch.where(soft > 0, torch.lerp(image, face.image.to(image.dtype), soft.to(image.dtype)), image)

    def stranger(self, image: Image, mask: Mask | None = None) -> Stranger:
        """Get to know a person who is none of the classes, or one of them in another light, to be given as `source`.

        Args:
            image: (n, 3, h, w) in [0, 1], pictures of that one person, from the footage to be swapped.
            mask: (n, 1, h, w) in [0, 1]; give it when the swaps are given theirs.

        Raises:
            ShapeError: pictures or masks have another size than the model.
            DataError: there are none, or they are not in [0, 1].

        Example:
            >>> model = CGAN.default(32, classes=["anna", "bob"])
            >>> frames = torch.rand(4, 3, 32, 32)
            >>> model.swap(frames, "bob", source=model.stranger(frames)).shape
            torch.Size([4, 3, 32, 32])
        """
        self._check(image, mask)
        return self.generator.stranger(image, mask)

    def add_class(self, name: str) -> None:
        """Make room for one more class; the outputs for the others stay as they are until training goes on.

        The new class starts as the mean of the others; `condswap.training.learn_class` teaches it. A trainer made before
        does not know it: make a new one.

        Args:
            name: not one of `classes` yet.

        Raises:
            ConfigError: the name is taken, or a part cannot grow.

        Example:
            >>> model = CGAN.default(32, classes=["anna", "bob"])
            >>> model.add_class("carl")
            >>> model.classes
            ('anna', 'bob', 'carl')
        """
        classes = check_classes([*self.classes, name])
        generator = self.generator
        parts = (generator.encoder, generator.bottleneck, generator.decoder, self.discriminator)
        for part in parts:
            part.check_growth()
        for part in parts:
            part.add_class()
        generator.classes = classes

    def config(self) -> dict[str, Any]:
        """Give everything but the weights, as JSON.

        Raises:
            ConfigError: a part has an argument that cannot be written down; it is named.
        """
        return {
            "condswap": FORMAT,
            "classes": list(self.classes),
            "masked_input": self.generator.masked_input,
            "encoder": self.generator.encoder.config(),
            "bottleneck": self.generator.bottleneck.config(),
            "decoder": self.generator.decoder.config(),
            "discriminator": self.discriminator.config(),
            "objective": self.objective.config(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Assemble the model that `config` describes, with fresh weights.

        Raises:
            ConfigError: it is no config of ours, is newer than this library, or names a part that is not known here.
        """
        check_config(config, newest=FORMAT)
        model = cls(
            build(config["encoder"], Encoder),
            build(config["bottleneck"], Bottleneck),
            build(config["decoder"], Decoder),
            build(config["discriminator"], Discriminator),
            classes=config["classes"],
            objective=Objective.from_config(config["objective"]),
            masked_input=config["masked_input"],
        )
        model.history = check_history(config.get("training", {}))
        if config.get("template") is not None:
            model.template = Template.from_config(config["template"])
        return model

    def save_pretrained(self, folder: str | Path, *, consent: str | None = None, license: str | None = None) -> None:
        """Save the model to a folder: config.json, model.safetensors and README.md, the model card.

        A file is written whole or not at all. A README.md that somebody else wrote is left alone.

        Args:
            folder: made if it is not there.
            consent: who agreed to be shown, and how; goes into the card.
            license: under which the model is given, as the Hub abbreviates it, such as "mit"; goes into the card.

        Raises:
            ConfigError: a part cannot be written down; nothing is written then.
            DataError: the disk refuses; what was there before stays.
        """
        self._save(Path(folder), consent=consent, license=license)

    def _save(self, folder: Path, *, consent: str | None, license: str | None, repo_id: str | None = None) -> None:
        config = self.config()
        card = model_card(
            classes=self.classes,
            image_size=(self.image_shape[1], self.image_shape[2]),
            parts={role: config[role]["type"] for role in ("encoder", "bottleneck", "decoder", "discriminator")},
            training=self.history or None,
            consent=consent,
            license=license,
            repo_id=repo_id,
        )
        template = self.template and self.template.config()
        described = {**config, "template": template, "training": self.history}
        pretrained.save(folder, config=described, tensors=self.state_dict(), card=card)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        subfolder: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
    ) -> Self:
        """Load a model from a folder or from the Hugging Face Hub, ready to swap.

        Nothing is unpickled, no code is fetched, and a file that is cut off, foreign, newer or does not fit is refused.

        Args:
            name: a folder, or "user/name" on the Hub. A folder that is there goes first.
            revision: a branch, tag or commit on the Hub.
            subfolder: where in the folder or repository the model lies.
            token: for a private repository; None takes the one you logged in with.
            cache_dir: where downloads are kept; None for the Hub client's own place.
            dtype: of the weights; None leaves them as saved.
            device: where the weights go; None for the CPU.

        Raises:
            HubError: there is no such folder or repository, or it cannot be reached.
            ConfigError: config.json is not ours, newer, or names a part that is not imported.
            DataError: a file is cut off or changed.
            ShapeError: the weights do not fit the config.
        """
        folder = pretrained.find(name, revision=revision, subfolder=subfolder, token=token, cache_dir=cache_dir)
        model = pretrained.load(folder, cls.from_config)
        return model.to(device=device, dtype=dtype).eval()

    def push_to_hub(
        self,
        repo_id: str,
        *,
        consent: str | None = None,
        license: str | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        message: str = "Upload a condswap model",
    ) -> str:
        """Publish the model on the Hugging Face Hub, in one commit.

        Args:
            repo_id: "user/name"; made if it is not there.
            consent: who agreed to be shown, and how. Without it nothing is published.
            license: under which the model is given, as the Hub abbreviates it, such as "mit".
            private: whether a repository that is made now is private; None makes a private one. One that is there already
                stays as it is, and is refused when it is public and True was asked for.
            token: None takes the one you logged in with.
            revision: the branch to commit to; made if it is not there.
            message: of the commit.

        Returns:
            The address of the commit.

        Raises:
            ConfigError: there is no statement of consent, or no licence.
            HubError: the Hub refuses or cannot be reached, or shows to everybody what was to be private.
        """
        for value, what in ((consent, "consent"), (license, "license")):
            if not isinstance(value, str) or not value.strip():
                raise ConfigError(
                    f"a model that shows people is published with their consent and a licence; {what} is {value!r}: say, for "
                    'instance, push_to_hub(..., consent="Both people agreed in writing", license="cc-by-nc-4.0")'
                )
        with pretrained.scratch() as folder:
            self._save(folder, consent=consent, license=license, repo_id=repo_id if "/" in repo_id else None)
            return hub.publish(
                folder,
                repo_id,
                files=pretrained.FILES,
                private=private,
                token=token,
                revision=revision,
                message=message,
            )

    def export_onnx(self, path: str | Path, *, to: AnyLabel, source: AnySource | None = None) -> None:
        """Write an ONNX file that shows pictures as one target: input `image`, outputs `swapped` and `mask`.

        `image` is (b, 3, h, w) RGB in [0, 1], for any b; `swapped` is of the same kind, as the decoder paints it; `mask` is
        (b, 1, h, w), that of the painted face. Any onnxruntime from 1.11 on reads the file (opset 16, one file). It is held
        against the model before it is written, and says in its metadata what it shows and that what it makes is synthetic.

        Args:
            path: of the file, such as "swap.onnx"; written whole or not at all.
            to: the class to show, or a blend {name: weight}.
            source: the class of the person in the pictures, or the `stranger` in them; the model guesses otherwise.

        Raises:
            ConfigError: a part cannot be written as ONNX, the file would give other pictures, or a package is missing.
            DataError: there is no such class, or the disk refuses.
        """
        export_onnx(self.generator, path, to=to, source=source, model_id=pretrained.model_id(self.state_dict()))

    def export_dfm(
        self,
        path: str | Path,
        *,
        to: AnyLabel,
        source: AnySource | None = None,
        morph: bool = False,
        crop: str = "dfl_whole_face",
    ) -> None:
        """Write a DFM file, which DeepFaceLive, FaceFusion and VisoMaster run live.

        It holds one target. Who will be in front of the camera is mostly nobody that the model was trained on: without a
        `source` every frame is normalised by the statistics of the classes that it resembles, which are part of the file.

        Args:
            path: of the file, such as "trump.dfm"; written whole or not at all.
            to: the class to show, or a blend {name: weight}.
            source: the person in front of the camera: a class, or a `stranger` got to know from pictures of them.
            morph: give the file the input `morph_value:0`, from 0, the person in the picture as the model sees them, to 1, the
                target.
            crop: the template by which the application cuts faces out, one of `condswap.templates.TEMPLATES`. Where the model's
                own is known and another, the file turns the one into the other.

        Raises:
            ConfigError: as `export_onnx`, or a part that cannot blend was to morph.
            DataError: there is no such class, or the disk refuses.
        """
        model_id = pretrained.model_id(self.state_dict())
        export_dfm(
            self.generator,
            path,
            to=to,
            source=source,
            morph=morph,
            model_id=model_id,
            template=self.template,
            crop=Template.from_config(crop),
        )

    def _check(self, image: Image, mask: Mask | None = None) -> None:
        """Refuse pictures and masks of another size or range."""
        shape = self.image_shape
        if not isinstance(image, torch.Tensor) or image.ndim != 4 or tuple(image.shape[1:]) != shape:
            got = tuple(image.shape) if isinstance(image, torch.Tensor) else type(image).__name__
            hint = "; add the batch dimension with image[None]" if got == shape else "; resize the pictures"
            raise ShapeError(f"the model takes images (b, {', '.join(map(str, shape))}) and got {got}{hint}")
        check_range(image)
        self.generator.check_mask(image, mask)
        if mask is not None:
            check_range(mask, "masks")
