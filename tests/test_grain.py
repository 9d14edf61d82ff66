"""The transform of Grain, and features that were extracted as its source."""

import pickle
import subprocess
import sys

import grain
import jax
import numpy as np
import pytest
import soundfile
from helpers import noise

import jaxspec
from jaxspec.extraction import FeatureSet, extract
from jaxspec.grain_transforms import Features

LENGTHS = (4000, 5000, 4500, 8000, 700)
LOG_MEL = jaxspec.presets.get("log_mel")


def elements():
    return [{"samples": 0.1 * noise(n, seed=n).astype(np.float32), "label": n} for n in LENGTHS]


def test_features_are_those_of_the_stage():
    mapped = grain.MapDataset.source(elements()).map(Features(stage=LOG_MEL))
    for given, found in zip(elements(), mapped, strict=True):
        truth = np.asarray(LOG_MEL(given["samples"]))
        assert found.keys() == {"features", "label"}
        assert found["label"] == given["label"]
        assert isinstance(found["features"], np.ndarray)
        np.testing.assert_allclose(
            found["features"], truth, atol=1e-6 * np.abs(truth).max(), strict=True
        )


def test_options():
    learned = jaxspec.presets.get("learnable_mel")
    params = jax.tree.map(lambda leaf: leaf + 0.2, learned.init(jax.random.key(0)))
    transform = Features(
        stage=learned, params=params, field="audio", into="bands", buckets=(5000, 9000)
    )
    audio = np.stack([noise(4000), noise(4000, seed=1)]).astype(np.float32)
    found = transform.map({"audio": audio, "samples": 3})
    assert found.keys() == {"bands", "samples"}
    truth = np.asarray(learned.apply(params, audio))
    np.testing.assert_allclose(found["bands"], truth, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="longer than the longest of buckets"):
        transform.map({"audio": np.zeros(9001, np.float32)})


def test_wrong_arguments():
    with pytest.raises(TypeError, match="stage must be a stage or a FrontEnd, got a str"):
        Features(stage="log_mel")
    with pytest.raises(ValueError, match="params must be those of"):
        Features(stage=jaxspec.presets.get("learnable_mel"))


@pytest.fixture
def features(tmp_path):
    for element in elements():
        soundfile.write(tmp_path / f"{element['label']:05d}.wav", element["samples"], 16000)
    extract(tmp_path, tmp_path / "out", stage="log_mel", shard_clips=2)
    return FeatureSet(tmp_path / "out")


def cropped(element):
    return {"features": element["features"][:5], "key": element["key"]}


def test_what_was_extracted_is_a_source(features):
    batches = grain.MapDataset.source(features).shuffle(seed=3).map(cropped).batch(2)
    found = {}
    for batch in batches:
        assert batch["features"].shape[1:] == (5, 80)
        found |= dict(zip(batch["key"].tolist(), batch["features"], strict=True))
    assert found.keys() == set(features.keys)
    for element in features:
        np.testing.assert_array_equal(found[element["key"]], element["features"][:5])
    assert list(batches[0]["key"]) != list(features.keys[:2])


# Worker processes start Python anew, and need a main program that can be imported.
WORKERS = """
import sys
import grain, jax, numpy as np
from absl import flags
from jaxspec.extraction import FeatureSet
from jaxspec.grain_transforms import Features
import jaxspec

class Clips:
    def __len__(self):
        return 6
    def __getitem__(self, i):
        return {"samples": np.full(3000 + 100 * i, 0.1, np.float32), "label": i}

def platforms(element):
    return element | {"platforms": str(jax.config.jax_platforms)}

if __name__ == "__main__":
    flags.FLAGS.mark_as_parsed()
    options = grain.MultiprocessingOptions(num_workers=2)
    stage = jaxspec.presets.get("log_mel")
    data = grain.MapDataset.source(Clips()).shuffle(seed=0).map(Features(stage=stage))
    it = iter(data.map(platforms).to_iter_dataset().mp_prefetch(options))
    found = list(it)
    it.close()
    assert sorted(e["label"] for e in found) == list(range(6))
    assert {e["platforms"] for e in found} == {"cpu"}
    for e in found:
        truth = np.asarray(stage(Clips()[e["label"]]["samples"]))
        np.testing.assert_allclose(e["features"], truth, atol=2e-5)
    features = FeatureSet(sys.argv[1])
    data = grain.MapDataset.source(features).shuffle(seed=0)
    it = iter(data.to_iter_dataset().mp_prefetch(options))
    assert sorted(e["key"] for e in it) == list(features.keys)
    it.close()
    print("all right")
"""


def test_worker_processes(tmp_path, features):
    """They leave accelerators alone, and give what the process itself would."""
    program = tmp_path / "program.py"
    program.write_text(WORKERS)
    done = subprocess.run(
        [sys.executable, str(program), str(features.folder)], capture_output=True, text=True
    )
    assert done.stdout == "all right\n", done.stderr


def test_only_workers_are_held_to_the_processor():
    before = jax.config.jax_platforms
    again = pickle.loads(pickle.dumps(Features(stage=LOG_MEL)))
    assert again.stage == LOG_MEL
    assert jax.config.jax_platforms == before
