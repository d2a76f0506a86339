"""The page: pick two variants, ask, see both answers grow, vote."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from typing import Any

from harness.datasets.example import Example
from harness.demo.models import Models, in_turns
from harness.demo.questions import (
    OWN,
    Questions,
    asked_example,
    context_of,
    is_question_of,
    questions_of,
)
from harness.demo.session import BUTTONS, Round, facts, shuffled
from harness.demo.variants import names
from harness.errors import HarnessError
from harness.results.result import CellResult
from harness.results.run import Run
from harness.results.text import printable
from harness.results.votes import append_vote

EVERY = 0.06
"""Seconds between two updates: each is a message to the browser, and a tiny model makes hundreds of
tokens a second."""
FOCUS_ON_VOTES = "() => setTimeout(() => document.getElementById('vote-1')?.focus(), 150)"
FOCUS_ON_QUESTION = (
    "() => setTimeout(() => document.querySelector('#question textarea')?.focus(), 150)"
)
Updates = dict[Any, Any]
"""Component → its new value, or its new settings."""


class Page:
    """The components of one page, and what happens when they are used."""

    def __init__(self, run: Run, cells: Sequence[CellResult], models: Models) -> None:
        self._run = run
        self._cells = {cell.key: cell for cell in cells}
        self._names = names(cells)
        self._models = models
        self._questions: dict[tuple[str, str], Questions] = {}

    def build(self, first: CellResult, second: CellResult) -> Any:
        """The Gradio blocks, with these two variants chosen."""
        import gradio as gr

        title = f"Live comparison of {self._run.suite['name']}"
        with gr.Blocks(title=title, analytics_enabled=False) as blocks:
            gr.HTML(_header(title), elem_id="title", padding=False)
            self._build_choice(first, second)
            self._build_question(self._questions_of(first.key, second.key))
            self._build_answers()
            self._build_votes()
            self.round = gr.State(None)
            self._connect()
        return blocks

    def _build_choice(self, first: CellResult, second: CellResult) -> None:
        import gradio as gr

        choices = [(name, key) for key, name in self._names.items()]
        with gr.Row():
            with gr.Column(scale=2, min_width=280), gr.Row():
                self.first = gr.Dropdown(
                    choices, value=first.key, label="One variant", min_width=120
                )
                self.second = gr.Dropdown(
                    choices, value=second.key, label="The other", min_width=120
                )
            with gr.Column(min_width=260):
                self.blind = gr.Checkbox(
                    value=True, label="Blind", elem_id="blind",
                    info="Names and speeds stay hidden and sides are shuffled until you vote.",
                )  # fmt: skip

    def _build_question(self, questions: Questions) -> None:
        import gradio as gr

        with gr.Row():
            self.question = gr.Textbox(
                label="Question", lines=1, max_lines=8, autofocus=True, elem_id="question",
                placeholder="Enter asks, Shift+Enter starts a new line", scale=5, min_width=260,
            )  # fmt: skip
            self.ask = gr.Button("Ask both", variant="primary", elem_id="ask", min_width=140)
            self.stop = gr.Button("Stop", visible=False, elem_id="stop", min_width=140)
        self.tests = gr.Dropdown(
            questions.choices(), value=None, label="Or a question of the test set",
            info=questions.missing, interactive=not questions.missing, elem_id="tests",
        )  # fmt: skip
        self.context = gr.Textbox(
            label="It comes with", interactive=False, visible=False, max_lines=8, elem_id="context"
        )

    def _build_answers(self) -> None:
        import gradio as gr

        self.status = gr.HTML("", elem_id="status", padding=False)
        self.answers, self.facts = [], []
        with gr.Row(elem_id="answers"):
            for side in "AB":
                with gr.Column(min_width=300):
                    self.answers.append(
                        gr.Textbox(
                            label=f"Answer {side}", lines=6, max_lines=24, interactive=False,
                            elem_id=f"answer-{side.lower()}", buttons=["copy"],
                        )
                    )  # fmt: skip
                    self.facts.append(gr.HTML("", elem_classes="facts", padding=False))

    def _build_votes(self) -> None:
        import gradio as gr

        with gr.Row(elem_id="votes"):
            self.votes = [
                gr.Button(
                    f"{text} ({number})", interactive=False, elem_id=f"vote-{number}",
                    min_width=130,
                )
                for number, text in enumerate(BUTTONS, start=1)
            ]  # fmt: skip
        with gr.Accordion("Reference answer", open=False, visible=False) as self.reference_box:
            self.reference = gr.Textbox(
                show_label=False, interactive=False, max_lines=24, elem_id="reference"
            )

    def _connect(self) -> None:
        import gradio as gr

        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        asked = gr.on(
            [self.ask.click, self.question.submit], self.answer,
            [self.question, self.tests, self.first, self.second, self.blind], self._outputs(),
            api_name="ask", show_progress="hidden", trigger_mode="once", concurrency_limit=1,
            # two questions at once would share the models, and each other's time
            concurrency_id="models",
        )  # fmt: skip
        asked.success(None, js=FOCUS_ON_VOTES, **private)
        self.stop.click(self.stopped, None, self._outputs(), cancels=[asked], **private)
        chosen = [self.tests, self.first, self.second]
        self.tests.input(self.pick, chosen, [self.question, self.context], **private)
        self.question.input(
            self.edit, [self.question, *chosen], [self.tests, self.context], queue=False, **private
        )
        gr.on(
            [self.first.input, self.second.input], self.offer, [self.first, self.second],
            [self.tests, self.context], **private,
        )  # fmt: skip
        for number, button in enumerate(self.votes):
            voted = button.click(
                self._voting(number), self.round, self._outputs(),
                api_name=f"vote_{number + 1}", show_progress="hidden", trigger_mode="once",
            )  # fmt: skip
            voted.success(None, js=FOCUS_ON_QUESTION, **private)

    def _outputs(self) -> list[Any]:
        return [
            *self.answers, *self.facts, self.status, self.reference_box, self.reference, self.ask,
            self.stop, *self.votes, self.round,
        ]  # fmt: skip

    def answer(
        self, question: str, test: str | None, first: str, second: str, blind: bool
    ) -> Iterator[Updates]:
        """Ask both variants; the answers grow side by side."""
        with _shown_errors():
            questions = self._questions_of(first, second)
            example = asked_example(question, questions.by_id(test))
            sides = self._cells[first], self._cells[second]
            known = None if example.id == OWN else example.id
            now = Round(example.prompt, known, *sides, blind, shuffled(blind))
            yield {**self._shown(now, "Loading the models …"), **self._busy()}
            models = self._models.load(*sides)
            shown = 0.0
            for answers in in_turns(*models, example):
                now = replace(now, answers=answers)
                if time.monotonic() - shown >= EVERY and not now.is_complete:
                    yield self._shown(now, "Answering …")
                    shown = time.monotonic()
            yield {
                **self._shown(now, "Which answer is better?"), **self._votable(True), **_idle(self),
                **self._reference(example), self.round: now,
            }  # fmt: skip

    def vote(self, now: Round | None, button: str) -> Updates:
        """Keep a vote, and show whose answers they were."""
        with _shown_errors():
            if now is None or not now.is_complete:
                raise HarnessError("There is nothing to vote on yet: ask a question first.")
            vote = now.vote(button)
            append_vote(self._run.directory, vote)
            chosen = {"first": vote.first, "second": vote.second}.get(vote.choice)
            text = f"you preferred {self._names[chosen]}" if chosen else button.lower()
            shown = f"Saved: {text}. harness compare RUN --votes counts all votes."
            return {
                **self._shown(replace(now, blind=False), shown),
                **self._votable(False), self.round: None,
            }  # fmt: skip

    def stopped(self) -> Updates:
        """End a question that is being answered."""
        return {self.status: "Stopped.", **_idle(self), **self._votable(False), self.round: None}

    def pick(self, test: str | None, first: str, second: str) -> Updates:
        """Put a test question into the box, with what it comes with below."""
        example = self._questions_of(first, second).by_id(test)
        if example is None:
            return self._context("")
        return {self.question: example.prompt, **self._context(context_of(example))}

    def edit(self, question: str, test: str | None, first: str, second: str) -> Updates:
        """Who edits a test question asks another one, which comes with nothing."""
        import gradio as gr

        example = self._questions_of(first, second).by_id(test)
        if example is None or is_question_of(question, example):
            return {self.tests: gr.skip()}  # an empty answer is an error of Gradio's
        return {self.tests: None, **self._context("")}

    def offer(self, first: str, second: str) -> Updates:
        """The test questions of other variants."""
        import gradio as gr

        with _shown_errors():
            found = self._questions_of(first, second)
        there = not found.missing
        new = gr.update(choices=found.choices(), value=None, info=found.missing, interactive=there)
        return {self.tests: new, **self._context("")}

    def _voting(self, number: int) -> Any:
        def vote(now: Round | None) -> Updates:
            return self.vote(now, BUTTONS[number])

        return vote

    def _questions_of(self, first: str, second: str) -> Questions:
        key = (first, second)
        if key not in self._questions:
            cells = [self._cells[first], self._cells[second]]
            self._questions[key] = questions_of(self._run, cells)
        return self._questions[key]

    def _shown(self, now: Round, status: str) -> Updates:
        import gradio as gr

        found: Updates = {self.status: f'<div role="status">{escape(status)}</div>'}
        for place, (answer, cell) in enumerate(zip(now.sides(), now.cells(), strict=True)):
            label = f"Answer {'AB'[place]}"
            label += "" if now.blind else f": {self._names[cell.key]}"
            found[self.answers[place]] = gr.update(value=printable(answer.text), label=label)
            found[self.facts[place]] = facts(answer, blind=now.blind)
        return found

    def _busy(self) -> Updates:
        import gradio as gr

        return {
            self.ask: gr.update(visible=False), self.stop: gr.update(visible=True),
            self.reference_box: gr.update(visible=False, open=False), **self._votable(False),
            self.round: None,
        }  # fmt: skip

    def _votable(self, yes: bool) -> Updates:
        import gradio as gr

        return {button: gr.update(interactive=yes) for button in self.votes}

    def _reference(self, example: Example) -> Updates:
        import gradio as gr

        text = "\n".join(example.accepted) if example.reference else ""
        return {self.reference_box: gr.update(visible=bool(text)), self.reference: printable(text)}

    def _context(self, text: str) -> Updates:
        import gradio as gr

        return {self.context: gr.update(value=printable(text), visible=bool(text))}


def _header(title: str) -> str:
    return (
        f"<h1>{escape(title)}</h1><p>Ask two of its variants the same question. Each answers with"
        " the quantization, prompt and settings that it was evaluated with.</p>"
    )


@contextmanager
def _shown_errors() -> Iterator[None]:
    """Show what the user can fix on the page; anything else is shown, and logged, by Gradio."""
    try:
        yield
    except HarnessError as error:
        import gradio as gr

        # the page takes a message for HTML, and a message may quote a question
        raise gr.Error(escape(str(error)), duration=None, print_exception=False) from None


def _idle(page: Page) -> Updates:
    import gradio as gr

    return {page.ask: gr.update(visible=True), page.stop: gr.update(visible=False)}
