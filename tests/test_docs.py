import re

import yaml

from harness.cli import main


def test_every_command_is_documented(root):
    text = (root / "README.md").read_text()
    missing = [name for name in main.commands if f"harness {name}" not in text]
    assert missing == []


def test_the_readme_s_suite_is_valid(root, tmp_path):
    from harness.plan.expand import expand
    from harness.suite.loading import load_suite

    text = (root / "README.md").read_text()
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]
    assert yaml.safe_load(block)["name"]
    (tmp_path / "models").symlink_to(root / "models")
    rows = [f"What is {i} plus {i}?,{2 * i}" for i in range(40)]
    (tmp_path / "rows.csv").write_text("\n".join(["question,answer", *rows]))
    path = tmp_path / "suite.yaml"
    path.write_text(block)
    assert expand(load_suite(path), path)


def test_the_reference_pages_are_those_of_the_program(root):
    import runpy

    folder = root / "docs" / "reference"
    for name, page in runpy.run_path(str(folder / "generate.py"))["PAGES"].items():
        assert (folder / name).read_text() == page().rstrip("\n") + "\n", name


def test_links_in_documents_exist(root):
    for page in [root / "README.md", *(root / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page}: {link}"


def test_further_examples_that_documents_ask_for_are_those_of_the_report(root):
    report = (root / "reports" / "real" / "leaderboard.md").read_text()
    for page, words in (("README.md", "needs ≈ "), ("docs/real.md", "asks for some ")):
        count = re.search(rf"{words}([\d,]+) more", (root / page).read_text())[1]
        assert f"needs ≈ {count} more" in report, page


def test_the_schema_in_docs_is_current(root):
    import json

    from harness.suite.json_schema import suite_schema

    stored = json.loads((root / "docs" / "suite.schema.json").read_text())
    assert stored == suite_schema()


def _real_page(root):
    import runpy

    return runpy.run_path(str(root / "docs" / "real_tables.py"))


def test_every_table_of_the_real_page_has_its_writer(root):
    writers = _real_page(root)
    text = (root / "docs" / "real.md").read_text()
    blocks = writers["BLOCK"].findall(text)
    assert len(blocks) == text.count("<!-- end -->") > 5
    for _, name, what, _ in blocks:
        assert (root / "suites" / f"{name}.yaml").is_file()
        assert what in writers["WRITERS"]
