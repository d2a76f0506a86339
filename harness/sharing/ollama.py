"""A Modelfile for Ollama: the prompt as a Go template, stop tokens, and what decoding was scored.

A chat template is a program, and Ollama wants it in another language. So none is translated: for
each of a few known formats there is the Go text and what it renders, and a model's own template has
to render the same chats to the same text. Anything else is refused. Ollama's own defaults (another
template, a repetition penalty, a short context) are what makes exported models answer differently.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.backends.prompting import Message
from harness.errors import HarnessError
from harness.suite.parts import Options
from harness.suite.prompt_styles import TEMPLATES

LONGEST = 8192
"""Tokens of context that are asked for at most: Ollama reserves memory for all of them."""
Render = Callable[[Sequence[Message]], str]


@dataclass(frozen=True)
class Format:
    """A chat format: one text before and after each turn."""

    name: str
    before: str
    """Before a turn's content; `ROLE` stands for the role."""
    after: str

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt of ``messages``, up to where the assistant answers."""
        turns = (self.before.replace("ROLE", m.role) + m.content + self.after for m in messages)
        return "".join(turns) + self.before.replace("ROLE", "assistant")

    def go_text(self) -> str:
        """The same as a Go template. Every text is a literal: blanks and line ends are certain."""
        parts = ["{{ if .System }}", *self._turn("system", ".System"), "{{ end }}"]
        parts += ["{{ range .Messages }}"]
        parts += ['{{ if eq .Role "user" }}', *self._turn("user", ".Content")]
        parts += ['{{ else if eq .Role "assistant" }}', *self._turn("assistant", ".Content")]
        parts += ["{{ end }}{{ end }}", _literal(self.before.replace("ROLE", "assistant"))]
        return "".join(parts)

    def _turn(self, role: str, content: str) -> list[str]:
        before = self.before.replace("ROLE", role)
        return [_literal(before), f"{{{{ {content} }}}}", _literal(self.after)]

    def default_system(self, rendered: str) -> str | None:
        """The system message that a template writes by itself into ``rendered``."""
        before = self.before.replace("ROLE", "system")
        if not rendered.startswith(before):
            return None
        return rendered.removeprefix(before).partition(self.after)[0]


FORMATS = (
    Format("ChatML", "<|im_start|>ROLE\n", "<|im_end|>\n"),
    Format("Llama 3", "<|start_header_id|>ROLE<|end_header_id|>\n\n", "<|eot_id|>"),
)
_SYSTEM, _USER = Message("system", "probe system"), Message("user", "probe question")
_ANSWER, _MORE = Message("assistant", "probe answer"), Message("user", "probe more")
PROBES = (
    (_USER,), (_SYSTEM, _USER), (_USER, _ANSWER, _MORE), (_SYSTEM, _USER, _ANSWER, _MORE)
)  # fmt: skip
STYLES = {
    "plain": "{{ if .System }}{{ .System }}{{ NN }}{{ end }}{{ .Prompt }}{{ N }}",
    "question-answer": "{{ if .System }}{{ .System }}{{ NN }}{{ end }}### Question: {{ .Prompt }}"
    "{{ NN }}### Answer:",
    "alpaca": "{{ if .System }}{{ .System }}{{ NN }}{{ end }}Below is an instruction that describes"
    " a task. Write a response that appropriately completes the request.{{ NN }}### Instruction:"
    "{{ N }}{{ .Prompt }}{{ NN }}### Response:",
}
"""The harness's own prompt styles for a row without context, as Go templates."""


@dataclass(frozen=True)
class OllamaPrompt:
    """How Ollama writes a prompt."""

    text: str
    system: str
    """The system message where a chat has none; empty for none."""
    name: str


def chat_prompt(render: Render, bos: str, *, adds_bos: bool, system: str) -> OllamaPrompt:
    """The Go template of a model whose chat template is ``render``.

    Args:
        render: Its own chat template: messages to the prompt's text.
        bos: Its beginning-of-text token; empty for none.
        adds_bos: Whether the exported file says that this token is put before every prompt.
        system: The system message that the cell was scored with; empty for none.

    Raises:
        HarnessError: it renders no format that is known.
    """
    texts = [render(probe) for probe in PROBES]
    if adds_bos:  # Ollama then writes the token itself; a second one would be another prompt
        if not all(text.startswith(bos) for text in texts):
            raise _unknown(f"{bos} begins every text, and its chat template leaves it out")
        texts = [text.removeprefix(bos) for text in texts]
    for known in FORMATS:
        own = known.default_system(texts[0])
        first = [Message("system", own)] if own else []
        wanted = [
            known.render([*([] if probe[0] is _SYSTEM else first), *probe]) for probe in PROBES
        ]
        if wanted == texts:
            return OllamaPrompt(known.go_text(), system or own or "", known.name)
    raise _unknown("it renders none of the formats " + ", ".join(f.name for f in FORMATS))


def style_prompt(style: str, *, system: str) -> OllamaPrompt:
    """The Go template of one of the harness's prompt styles.

    Raises:
        HarnessError: the style is a template of the card's own.
    """
    if style not in STYLES or style not in TEMPLATES:
        raise _unknown(f"its prompt style is `{style}`")
    text = STYLES[style].replace("{{ NN }}", _literal("\n\n")).replace("{{ N }}", _literal("\n"))
    return OllamaPrompt(text, system, style)


def modelfile(
    prompt: OllamaPrompt, *, file: str, stops: Sequence[str], generation: Options, longest: int
) -> str:
    """The text of a Modelfile.

    Args:
        prompt: How prompts are written.
        file: The GGUF file's name, beside the Modelfile.
        stops: Texts that end an answer.
        generation: The cell's settings of decoding.
        longest: Tokens that the model takes.
    """
    parameters = {**decoding(generation), "num_ctx": min(longest, LONGEST)}
    lines = [f"FROM ./{file}", f'TEMPLATE """{prompt.text}"""']
    if prompt.system:
        lines.append(f'SYSTEM """{_without_quotes(prompt.system)}"""')
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops]
    lines += [f"PARAMETER {name} {value}" for name, value in parameters.items()]
    return "\n".join(lines) + "\n"


def decoding(generation: Mapping[str, object]) -> dict[str, object]:
    """The cell's decoding as parameters of Ollama, whose defaults no evaluation has used."""
    # Ollama penalizes repetition unless it is told not to
    found: dict[str, object] = {"repeat_penalty": generation.get("repetition_penalty") or 1.0}
    if not generation.get("do_sample"):
        return {"temperature": 0, **found}
    defaults = {"temperature": 1.0, "top_p": 1.0, "top_k": 50}  # those of transformers
    return {**{k: generation.get(k) or v for k, v in defaults.items()}, **found}


def _literal(text: str) -> str:
    return "{{ " + json.dumps(text) + " }}"


def _without_quotes(text: str) -> str:
    if '"""' in text:
        raise _unknown('the system message holds """, which a Modelfile cannot')
    return text


def _unknown(why: str) -> HarnessError:
    return HarnessError(
        f"no Ollama template is known for this model: {why}",
        hint="Export `gguf`, and write the Modelfile by hand: a wrong template makes a good model"
        " answer badly, without an error.",
    )
