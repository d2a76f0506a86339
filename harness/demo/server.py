"""The page served on this machine, to this machine alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.demo.models import Models
from harness.demo.only_here import OnlyHere
from harness.demo.page import Page
from harness.demo.variants import check_own_adapter
from harness.errors import HarnessError
from harness.results.result import CellResult
from harness.results.run import Run

HOST = "127.0.0.1"
HERE = Path(__file__).parent
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
"""Of the reader's machine: themes of Gradio bring their own, some from a server of Google's."""
MONOSPACE = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")


def serve(
    run: Run, cells: list[CellResult], pair: tuple[CellResult, CellResult], *, port: int | None,
    browser: bool, loading: Callable[[Sequence[str]], None], ready: Callable[[str], None],
) -> None:  # fmt: skip
    """Serve the page until Ctrl-C.

    Args:
        run: The run.
        cells: The variants to choose from.
        pair: The two that the page begins with; they are loaded before it opens.
        port: The port; None: the first free one from 7860 on.
        browser: Open the page in a browser.
        loading: Called with both keys when nothing is left to refuse; loading takes a while.
        ready: Called with the page's address when it answers.

    Raises:
        HarnessError: a model cannot be loaded, or the port is taken.
    """
    _stay_here()
    if port is not None:
        _check_free(port)
    for cell in pair:
        check_own_adapter(run, cell)
    loading([cell.key for cell in pair])
    models = Models(run)
    models.load(*pair)
    blocks = Page(run, cells, models).build(*pair)
    _, address, _ = blocks.launch(**launch_options(), server_port=port, prevent_thread_lock=True)
    ready(address)
    if browser:
        import webbrowser

        webbrowser.open(address)
    try:
        blocks.block_thread()
    finally:
        blocks.close(verbose=False)


def launch_options() -> dict[str, Any]:
    """How Gradio serves: to this machine, with nothing of anybody else's in the page."""
    import gradio as gr
    from starlette.middleware import Middleware

    theme = gr.themes.Default(font=FONTS, font_mono=MONOSPACE, primary_hue="blue").set(
        input_border_color_focus="*primary_500", input_border_color_focus_dark="*primary_400",
        # white on Gradio's own blue has a contrast of 3.7; WCAG's AA asks for 4.5
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        input_shadow_focus="0 0 0 2px *primary_200",
        input_shadow_focus_dark="0 0 0 2px *primary_700",
    )  # fmt: skip
    return {
        # each of these has an environment variable, which an argument overrides
        "server_name": HOST, "share": False, "mcp_server": False, "run_history": False,
        "ssr_mode": False, "pwa": False, "quiet": True, "show_error": True, "footer_links": [],
        "app_kwargs": {"middleware": [Middleware(OnlyHere)]},
        "theme": theme, "css": (HERE / "page.css").read_text("utf-8"),
        "js": (HERE / "page.js").read_text("utf-8"),
    }  # fmt: skip


def _stay_here() -> None:
    """No analytics, and no proxy between Gradio and its own page."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Gradio looks whether its page answers, and with a proxy it would ask there, in vain
    for name in ("NO_PROXY", "no_proxy"):
        known = [os.environ[name]] if os.environ.get(name) else []
        os.environ[name] = ",".join([*known, HOST, "localhost"])


def _check_free(port: int) -> None:
    with socket.socket() as tried:
        # as servers do: a port in TIME_WAIT is free
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError as error:
            hint = "Give another one: `--port`, or none to take the first that is free."
            what = f"port {port} cannot be used: {error.strerror}"
            raise HarnessError(what, hint=hint) from None
