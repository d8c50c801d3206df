"""How the page looks."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio

# Of the system: a font from a server would tell that server who opens the page.
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
_LETTERS = ["ui-monospace", "Consolas", "monospace"]


def theme() -> "gradio.themes.Base":
    """Give the colours, the fonts and the corners, for light and dark."""
    import gradio

    calm = gradio.themes.Base(
        primary_hue=gradio.themes.colors.teal,
        neutral_hue=gradio.themes.colors.slate,
        radius_size=gradio.themes.sizes.radius_lg,
        font=_FONTS,
        font_mono=_LETTERS,
    )
    return calm.set(
        body_background_fill="*neutral_50",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_background_fill="white",
        block_border_width="1px",
        block_border_color="*neutral_200",
        block_label_background_fill="*neutral_50",
        block_label_text_color="*neutral_700",
        block_label_border_width="0px",
        block_title_text_color="*neutral_700",
        block_title_text_weight="500",
        input_background_fill="*neutral_50",
        slider_color="*primary_600",
        # Darker than its own, so that white letters can be read on it.
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_large_padding="*spacing_lg",
    )


CSS = """
.gradio-container { width: 100%; max-width: 960px !important; margin: 0 auto !important; }
#head, #people, #said, #head > *, #people > *, #said > * { padding: 0 !important; }
#head h1 { font-size: 1.75rem; font-weight: 650; letter-spacing: -0.01em; margin: 0.5rem 0 0.25rem; }
#head p, #people p { color: var(--body-text-color-subdued); margin: 0; line-height: 1.5; }
#head p { max-width: 46rem; }
#models { align-items: flex-end; }
#load { flex-grow: 0; }
/* A small face fills its place, too, and both pictures are of one size: under the first there are buttons. */
#picture img, #result img { width: 100%; height: 100%; object-fit: contain; }
#result .image-container { height: calc(100% - 2.5rem); }
.said { padding: 0.7rem 1rem; border-radius: var(--radius-md); border-left: 4px solid; line-height: 1.45; margin: 0; }
.said.well { border-color: var(--primary-500); background: var(--primary-50); color: var(--primary-900); }
.said.bad { border-color: #d97706; background: #fffbeb; color: #78350f; }
.dark .said.well { background: #0f2f2e; color: #ccfbf1; }
.dark .said.bad { background: #33240d; color: #fde68a; }
"""
