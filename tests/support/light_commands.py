"""Runs every command that reads results in one process, and writes down what each of them says.

It is started by the Python of an installation without torch, in an empty folder: by
`tests/test_installed.py`, which checks what is written.
"""

import importlib.util
import json
import sys
import tarfile
from pathlib import Path

from click.testing import CliRunner

from harness.cli import main

REPORTS, OUT = Path(sys.argv[1]), Path(sys.argv[2])
SMALL = REPORTS / "published" / "qwen2-finance-alpaca-tiny.tar.xz"
FINANCE = REPORTS / "finance" / "run.tar.xz"
HUB = """\
name: far
matrix:
  model: [tiny-qwen2]
  adapter: [base]
  dataset: [{name: far, source: someone/far, columns: {prompt: a, reference: b}}]
"""
EVALUATE = HUB.replace("source: someone/far, columns: {prompt: a, reference: b}", "X").replace(
    "{name: far, X}", "finance-qa"
) + "evaluation: {metrics: [{source: bleu, higher_is_better: true}]}\n"  # fmt: skip
PARQUET = HUB.replace("someone/far", "rows.parquet")
BOXED = "id,model,prompt,gold,prediction\n" + "".join(
    f'{i},m,What is {i} times 2?,{2 * i},"It is \\boxed{{\\sqrt{{{4 * i * i}}}}}"\n'
    for i in range(1, 9)
)
PLAIN = "id,model,prompt,reference,prediction\n" + "".join(
    f"{i},{model},Question {i}?,{2 * i},{2 * i + (i % 3 == 0) * shift}\n"
    for i in range(1, 30)
    for model, shift in (("first", 1), ("second", 0))
)
said = {}


def command(name, *arguments):
    before = set(Path().rglob("*"))
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    left = sorted(map(str, set(Path().rglob("*")) - before))
    said[name] = {"code": done.exit_code, "output": done.output, "left": left}


assert importlib.util.find_spec("torch") is None
Path("far.yaml").write_text(HUB)
Path("evaluate.yaml").write_text(EVALUATE)
Path("parquet.yaml").write_text(PARQUET)
Path("rows.parquet").write_bytes(b"PAR1")
Path("boxed.csv").write_text(BOXED)
Path("plain.csv").write_text(PLAIN)
with tarfile.open(SMALL) as packed:
    packed.extractall("small", filter="data")
small = Path("small")
command("run", "run", "ci")  # first: it must leave nothing
command("schema", "schema")
command("models list", "models", "list")
command("validate", "validate", "ci")
command("validate a hub data set", "validate", "far.yaml")
command("plan", "plan", "ci")
command("report", "report", FINANCE, "-o", "out")
command("show", "show", SMALL)
command("compare", "compare", FINANCE, "--axis", "quantization")
command("import", "import", "plain.csv", "-o", "mine")
command("baseline", "baseline", "update", "mine", "--reason", "first", "-o", "mine.json")
command("check", "check", "mine", "--against", "mine")
command("check with it", "check", "mine", "--against", "mine.json")
named = ("--prompt", "prompt", "--reference", "reference", "--yes", "-o", "first.yaml")
command("init", "init", "--data", "plain.csv", *named)
command("doctor", "doctor")
command("score", "score", small)
command("pack", "pack", "mine", "-o", "mine.tar.xz")
command("calibrate", "plan", "ci", "--calibrate")
command("models show", "models", "show", "tiny-qwen2")
command("models build", "models", "build", "tiny-qwen2")
cells = [json.loads(path.read_text()) for path in small.rglob("result.json")]
baseline = next(
    cell["key"] for cell in cells if cell["adapter"] == "base" and cell["status"] == "ok"
)
command("predict", "predict", small, baseline, "--prompt", "Why save?")
command("evaluate module", "validate", "evaluate.yaml")
command("parquet data", "validate", "parquet.yaml")
command("run on ray", "run", "ci", "--executor", "ray")
command("LaTeX", "import", "boxed.csv", "-o", "boxed")
OUT.write_text(json.dumps(said))
