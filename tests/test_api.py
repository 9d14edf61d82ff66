"""The public surface: names, signatures, layering, weight of the import.

`tests/signatures.txt` holds every public signature; a change must be made on purpose, by running
``python tests/test_api.py``, and told in the changelog.
"""

import ast
import inspect
import pathlib
import subprocess
import sys

import pytest

import jaxspec
import jaxspec.export
import jaxspec.extraction
import jaxspec.linen
import jaxspec.nnx
import jaxspec.sharding

SNAPSHOT = pathlib.Path(__file__).with_name("signatures.txt")
PACKAGE = pathlib.Path(jaxspec.__file__).parent

# A module may import only from modules above it.
LAYERS = [
    "_checks", "_dtypes", "_sizes", "_extremes", "_primitives", "_frames", "_trees", "_items",
    "table", "reach", "windows",
    "adaptive_windows", "framing", "waveform", "fourier", "spectrum", "powers",
    "polar", "scales", "shapes", "filterbanks", "parametrize", "layouts", "compression",
    "learned_compression", "smoothing", "pooling", "gain_control",
    "cepstrum", "augment", "augment_features", "analysis", "octaves", "modulation",
    "diagnostics", "stage", "learning",
    "stages._banded",
    "stages._learned_bank", "stages._bands", "stages.waveform", "stages.padding",
    "stages.frames", "stages.spectrum", "stages.adaptive", "stages.adaptive_hop",
    "stages.basis", "stages._in_time", "stages.analysis", "stages.free", "stages.gammatone",
    "stages.octaves", "stages.bands", "stages.pooling",
    "stages.compression", "stages.learned_compression", "stages.values", "stages.running",
    "stages.gain_control", "stages.cepstrum", "stages.layout", "stages.strf", "stages.branches",
    "stages", "pieces", "tiling", "frontend", "padded", "stream_parts", "streaming",
    "synthesis_stream", "_time_shard", "sharding",
    "bucketing", "rates", "statistics",
    "penalties", "training", "features", "presets._registry", "presets.basic", "presets.whisper",
    "presets._kaldi_steps", "presets.kaldi",
    "presets.nemo", "presets.speech", "presets.synthesis", "presets.tagging", "presets.quality",
    "presets", "compat._arguments", "compat._kaldi", "compat.librosa",
    "compat.torchaudio", "compat.kaldi", "compat.nnaudio", "compat._gabor",
    "compat.speechbrain", "compat.leaf_audio", "compat.efficient_leaf", "compat.perch",
    "compat.dstft", "compat.papers", "compat.asteroid", "compat.tdfbanks",
    "compat.sincnet", "compat.murenn", "compat.strf", "compat",
    "_real_program", "export",
    "", "linen", "nnx",
    "audio", "_plotting", "_run_picture", "plotting",
    "_sources", "_terminal", "_live", "_views", "live",
    "extraction._inputs", "extraction._decoding", "extraction._files", "extraction._batches",
    "extraction._config", "extraction._reader", "extraction._run", "extraction",
    "grain_transforms", "_command_options", "_extract_command", "cli", "__main__",
]  # fmt: skip


RECORDS = (
    jaxspec.Table, jaxspec.Reach, jaxspec.Stage, jaxspec.Padded, jaxspec.extraction.ClipDone,
)  # fmt: skip


def _public():
    """Every public function and class by its qualified name."""
    for module in (
        jaxspec, jaxspec.stages, jaxspec.presets, jaxspec.linen, jaxspec.nnx, jaxspec.parametrize,
        jaxspec.training, jaxspec.diagnostics, jaxspec.statistics, jaxspec.export,
        jaxspec.sharding, jaxspec.extraction,
    ):  # fmt: skip
        for name, value in sorted(vars(module).items()):
            own = getattr(value, "__module__", "") or ""
            listed = module is jaxspec or name in module.__all__
            if (
                own.startswith("jaxspec")
                and not name.startswith("_")
                and callable(value)
                and listed
            ):
                yield f"{module.__name__}.{name}", value


def _signatures():
    lines = []
    functions = {f"jaxspec.presets.{n}": p.function for n, p in jaxspec.presets.PRESETS.items()}
    for name, value in [*_public(), *functions.items()]:
        # Types may be written differently from version to version, and Linen adds two fields.
        parameters = [
            p.replace(annotation=inspect.Parameter.empty)
            for p in inspect.signature(value).parameters.values()
            if not (name.startswith("jaxspec.linen") and p.name in ("parent", "name"))
        ]
        lines.append(f"{name}{inspect.Signature(parameters)}")
    return "\n".join(lines) + "\n"


def test_a59_signatures_are_stable():
    """Public signatures change only on purpose."""
    assert _signatures() == SNAPSHOT.read_text()


@pytest.mark.parametrize(("name", "value"), _public(), ids=[name for name, _ in _public()])
def test_a59_options_are_keyword_only(name, value):
    """Arrays come first and by position; every option is given by name."""
    if value in RECORDS or name.startswith("jaxspec.linen"):
        return
    parameters = inspect.signature(value).parameters.values()
    for p in parameters:
        if p.default is not inspect.Parameter.empty:
            assert p.kind is inspect.Parameter.KEYWORD_ONLY, f"{name}({p.name}=)"
    positional = [p for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    three = (
        jaxspec.apply_bucketed, jaxspec.apply_padded, jaxspec.mixup, jaxspec.sharding.apply_sharded,
        jaxspec.export.to_onnx,
    )  # fmt: skip
    assert len(positional) <= (3 if value in three else 2)


@pytest.mark.parametrize(("name", "value"), _public(), ids=[name for name, _ in _public()])
def test_is_documented(name, value):
    text = inspect.getdoc(value)
    assert text
    assert ">>>" in text or name in {
        "jaxspec.Stage", "jaxspec.stage_types", "jaxspec.stage_from_dict", "jaxspec.nnx.Constant",
        "jaxspec.extraction.ClipDone", "jaxspec.extraction.Report",
    }, "no example"  # fmt: skip
    if inspect.isfunction(value):
        for parameter in inspect.signature(value).parameters:
            assert parameter in text, f"{parameter} is not explained"


def test_unknown_and_positional_options_raise():
    import jax.numpy as jnp

    x = jnp.zeros(1000)
    with pytest.raises(TypeError):
        jaxspec.stft(x, 400)
    with pytest.raises(TypeError):
        jaxspec.stft(x, n_fft=400, hop=160)
    with pytest.raises(TypeError):
        jaxspec.stages.STFT(400)
    with pytest.raises(ValueError, match="hop"):
        jaxspec.stages.STFT.from_dict({"stage": "STFT", "n_fft": 400, "hop": 160})


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("jaxspec"):
            base = node.module.removeprefix("jaxspec").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                yield inner if inner in LAYERS else base
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "jaxspec":
                    yield alias.name.removeprefix("jaxspec").lstrip(".")


def test_dependencies_point_one_way():
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        module = module.removesuffix("__init__").rstrip(".")
        found.add(module)
        for imported in _imports(path):
            assert LAYERS.index(imported) < LAYERS.index(module), f"{module} imports {imported}"
    assert found == set(LAYERS)


def test_modules_stay_short():
    for path in PACKAGE.rglob("*.py"):
        lines = len(path.read_text().splitlines())
        assert lines <= (450 if path.name == "features.py" else 400), path.name


def test_import_is_light():
    """Importing jaxspec imports none of the packages that only its extras or wrappers need."""
    code = (
        "import sys, jaxspec\n"
        "heavy = {'flax', 'matplotlib', 'soundfile', 'scipy.signal', 'librosa', 'optax'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


if __name__ == "__main__":
    SNAPSHOT.write_text(_signatures())
