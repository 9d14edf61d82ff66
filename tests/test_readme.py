"""The Python of the README and of the docs runs as it stands, and the docs are complete."""

import importlib.util
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_snippets_run_one_after_the_other(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    if page.name in ("README.md", "training.md"):
        assert len(blocks) >= 2
    namespace = {}
    for block in blocks:
        # Not the name of the page, in which others would look for the source of a function.
        exec(compile(block, f"<{page.name}>", "exec"), namespace)
    if page.name == "README.md":
        assert namespace["features"].shape == (101, 40)
        assert namespace["variables"]["params"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for path in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / path).exists(), path


def test_the_reference_names_everything():
    """docs/reference.md is what ``python docs/make_reference.py`` writes."""
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs/make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs/reference.md").read_text() == module.reference()
