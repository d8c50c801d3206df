"""The page: what is on it, and what its buttons do."""

import tempfile
from html import escape
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from condswap.app.swapping import Swapper, Wish
from condswap.cgan import CGAN
from condswap.errors import CondswapError, ConfigError

if TYPE_CHECKING:
    import gradio

_CHECKED, _KEPT = 300, 3600  # seconds: how often uploads and results are looked at, and after how long they go
_HEAD = """<h1>Swap a face</h1>
<p>Shows the person in a picture as somebody the model has learned. Only with people who have agreed to it. What comes out
says inside the file that a model made it.</p>"""
_NOBODY, _UNKNOWN = "nobody", "somebody else, or not known"
_WHO = {
    "the largest face": "largest",
    "the left one": "left",
    "the middle one": "centre",
    "the right one": "right",
    "everybody": "all",
}


def build(
    model: str | None = None, *, may_load: bool = False, device: str | None = None, detector: str | None = None
) -> "gradio.Blocks":
    """Build the page.

    Args:
        model: a folder, or "user/name" on the Hub, that is loaded at once.
        may_load: whoever has the page open may load other models: any folder of this machine, so only for its owner.
        device: of the models; None takes what there is.
        detector: the weights of YuNet: a path, or "user/name/file.onnx" on the Hub.

    Raises:
        ConfigError: Gradio is missing, or there would be no model.
        CondswapError: the model cannot be loaded, as in `CGAN.from_pretrained`.
    """
    gr = require_gradio()
    if model is None and not may_load:
        raise ConfigError("a page on which no model can be loaded needs one; give the model")
    swapper = Swapper(device=device, detector=detector)
    loaded = None if model is None else swapper.load(model)
    with gr.Blocks(title="Swap a face", analytics_enabled=False, delete_cache=(_CHECKED, _KEPT)) as page:
        gr.HTML(_HEAD, padding=False, elem_id="head")
        name = gr.State(model)
        if may_load:
            with gr.Row(elem_id="models"):
                field = gr.Textbox(
                    value=model or "",
                    label="Model",
                    placeholder="the folder of a saved model, or user/name on the Hub",
                    max_lines=1,
                    scale=5,
                    elem_id="model",
                )
                load_button = gr.Button("Load", scale=1, min_width=120, elem_id="load")
        people = gr.HTML(_people(loaded), padding=False, elem_id="people")
        with gr.Row():
            picture = gr.Image(
                label="Picture",
                type="filepath",
                sources=["upload", "clipboard"],
                buttons=["fullscreen"],
                placeholder="# Drop a picture here\nor click to choose a file",
                height=360,
                elem_id="picture",
            )
            # Gradio would write the picture anew, and stop at a broken one with a traceback.
            picture.preprocess = lambda payload: payload and payload.path
            result = gr.Image(
                label="Swap",
                type="filepath",
                interactive=False,
                buttons=["fullscreen"],
                height=360,
                elem_id="result",
            )
        first, others, known = _choices(loaded)
        with gr.Row():
            to = gr.Dropdown(**first, label="Show", elem_id="to")
            second = gr.Dropdown(**others, label="Blended with", elem_id="second")
            percent = gr.Slider(0, 100, step=1, label="Share (%)", interactive=False, elem_id="percent")
        with gr.Accordion("More choices", open=False, elem_id="more"):
            with gr.Row():
                source = gr.Dropdown(**known, label="Who is in the picture", info="helps where the model knows them")
                only = gr.Dropdown(list(_WHO), label="Whose face", info="where there are several")
            follow = gr.Checkbox(value=True, label="The face takes the colours of the picture", elem_id="colours")
            is_cut = gr.Checkbox(label="The picture is a face that was cut out already", elem_id="cut")
        with gr.Row():
            swap_button = gr.Button("Swap", variant="primary", elem_id="swap")
            download = gr.DownloadButton("Download the swap", interactive=False, elem_id="download")
        said = gr.HTML(padding=False, elem_id="said")

        def load(name: str) -> tuple[Any, ...]:
            try:
                found = swapper.load(name)
            except CondswapError as error:
                return (*(gr.skip() for _ in range(5)), _said(error))
            return (name, _people(found), *(gr.Dropdown(**choice) for choice in _choices(found)), "")

        def swap(
            name: str | None,
            picture: str | None,
            to: str | None,
            second: str,
            percent: float,
            source: str,
            only: str,
            follow: bool,
            is_cut: bool,
        ) -> tuple[Any, Any, str]:
            try:
                if name is None or to is None:
                    raise ConfigError("load a model first")
                if picture is None:
                    raise ConfigError("give a picture first: drop it on the left, choose a file, or paste it")
                wish = Wish(
                    to=to,
                    second=None if second == _NOBODY else second,
                    share=percent / 100,
                    source=None if source == _UNKNOWN else source,
                    only=_WHO[only],
                    is_cut=is_cut,
                    colours_follow=follow,
                )
                # In the folder that Gradio serves from and cleans, so that it shows and gives away this very file.
                folder = Path(page.GRADIO_CACHE)
                folder.mkdir(parents=True, exist_ok=True)
                written = swapper.swap(name, Path(picture), Path(tempfile.mkdtemp(dir=folder)), wish)
            except CondswapError as error:
                return gr.skip(), gr.skip(), _said(error)
            told = f"{_shown(wish)}, in {written.name}, which is marked as made by a model."
            return str(written), gr.DownloadButton(value=str(written), interactive=True), _said(told)

        def clear() -> tuple[Any, Any, str]:
            return None, gr.DownloadButton(value=None, interactive=False), ""

        def blend(second: str, percent: float) -> Any:
            if second == _NOBODY:
                return gr.Slider(value=0, interactive=False)
            return gr.Slider(value=percent or 50, interactive=True)

        if may_load:
            gr.on(
                [load_button.click, field.submit],
                load,
                field,
                [name, people, to, second, source, said],
                api_visibility="private",
            )
        second.change(blend, [second, percent], percent, queue=False, api_visibility="private")
        swap_button.click(
            swap,
            [name, picture, to, second, percent, source, only, follow, is_cut],
            [result, download, said],
            api_visibility="private",
        )
        # A swap of another picture must not stand beside this one.
        gr.on(
            [picture.upload, picture.clear],
            clear,
            None,
            [result, download, said],
            queue=False,
            api_visibility="private",
        )
    return page


def require_gradio() -> ModuleType:
    """Give Gradio.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import gradio
    except ImportError as error:
        raise ConfigError('the page needs Gradio: pip install "condswap[app]"') from error
    return gradio


def _choices(model: CGAN | None) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Give what can be chosen: whom to show, with whom to blend, and who is in the picture."""
    classes = [] if model is None else list(model.classes)
    first: dict[str, Any] = {"choices": classes, "value": classes[0] if classes else None}
    second, known = ({"choices": [word, *classes], "value": word} for word in (_NOBODY, _UNKNOWN))
    return first, second, known


def _people(model: CGAN | None) -> str:
    if model is None:
        return "<p>No model is loaded yet.</p>"
    names, size = ", ".join(model.classes), model.image_shape[1]
    return f"<p>It knows {escape(names)}, and paints faces of {size} x {size} pixels.</p>"


def _shown(wish: Wish) -> str:
    """Say whom a picture shows now."""
    if isinstance(wish.label, str):
        return wish.label
    return f"{1 - wish.share:.0%} {wish.to} and {wish.share:.0%} {wish.second}"


def _said(what: str | CondswapError) -> str:
    """Say something on the page."""
    kind, role = ("bad", "alert") if isinstance(what, CondswapError) else ("well", "status")
    return f'<p class="said {kind}" role="{role}">{escape(" ".join(str(what).split()))}</p>'
