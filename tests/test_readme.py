"""The Python of the README runs as it stands."""

import pathlib
import re

README = pathlib.Path(__file__).parents[1] / "README.md"


def test_the_snippets_run_one_after_the_other():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 3
    namespace = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
    assert namespace["features"].shape == (101, 40)
    assert namespace["variables"]["params"]


def test_links_and_commands_exist():
    text = README.read_text()
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (README.parent / path).exists(), path
    assert (README.parent / "examples/train_classifier.py").exists()
