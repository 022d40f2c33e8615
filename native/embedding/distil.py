"""Distils MiniLM into a table: a vector a word piece, whose weighted mean stands for a text.

1. Each word piece goes through MiniLM alone; the vectors are centred and turned onto their 256 main directions.
2. Frequent pieces weigh less: a / (a + p), with p from WordNet's glosses and, for what is rare there, from the
   vocabulary's order.
3. The table is moved so that the means come near to what MiniLM says of whole glosses (ridge regression towards 1.),
   which gives words their meaning in sentences.

Writes `table.bin` (beside this file; `native/src/memory/embedder/table.rs` has the form) and the tokenizer's fixture.
Run `corpus.py` first. Prints how near the means come to MiniLM on glosses that were not learnt from.
"""

import json
import random
import re
import struct
import sys
from pathlib import Path

import numpy as np
from scipy import sparse

from minilm import CACHE, MiniLm, tokenizer

HERE = Path(__file__).resolve().parent
DIMENSIONS = 256
LEARN = 100_000
# Chosen on WordNet alone.
SIF = 1e-3
RIDGE = 1.0
MAGIC = b"mrembed\x01"


def pieces(reference):
    """The vocabulary without what never stands in a text."""
    vocabulary = sorted(reference.get_vocab().items(), key=lambda item: item[1])
    special = re.compile(r"\[(PAD|UNK|CLS|SEP|MASK|unused\d+)\]")
    kept = [(piece, token) for piece, token in vocabulary if not special.fullmatch(piece)]
    return [piece for piece, _ in kept], np.array([token for _, token in kept])


def alone(model, tokens):
    cached = CACHE / "pieces.npy"
    if not cached.exists():
        rows = np.stack([np.full_like(tokens, 101), tokens, np.full_like(tokens, 102)], axis=1)
        np.save(cached, np.concatenate([model.run(rows[at : at + 256]) for at in range(0, len(rows), 256)]))
    return np.load(cached)


def bags(reference, texts, tokens):
    """Rows of counts."""
    place = {token: at for at, token in enumerate(tokens)}
    encoded = reference.encode_batch(list(texts), add_special_tokens=False)
    rows = [[place[token] for token in encoding.ids if token in place] for encoding in encoded]
    lengths = [len(row) for row in rows]
    flat = np.concatenate([np.array(row, int) for row in rows])
    ends = np.cumsum([0, *lengths])
    counts = sparse.csr_matrix((np.ones(len(flat), np.float32), flat, ends), shape=(len(rows), len(tokens)))
    counts.sum_duplicates()
    return counts


def weights(counts, tokens, sif):
    seen = np.asarray(counts.sum(axis=0)).ravel()
    zipf = 1 / (np.arange(len(tokens)) + 100.0)
    p = (seen + 1e5 * zipf / zipf.sum()) / (seen.sum() + 1e5)
    return sif / (sif + p)


def ridge(bag, target, start, strength, rounds=40):
    """Least squares of bag @ table = target, held to `start`: conjugate gradients for all columns at once."""
    table = np.zeros_like(start)
    residual = bag.T @ (target - bag @ start)
    direction, size = residual.copy(), (residual**2).sum(axis=0)
    for _ in range(rounds):
        image = bag.T @ (bag @ direction) + strength * direction
        step = size / ((direction * image).sum(axis=0) + 1e-12)
        table += step * direction
        residual -= step * image
        new = (residual**2).sum(axis=0)
        direction = residual + (new / (size + 1e-12)) * direction
        size = new
    return start + table


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def distil(sif=SIF, strength=RIDGE):
    reference, model = tokenizer(), MiniLm()
    names, tokens = pieces(reference)
    vectors = alone(model, tokens)
    glosses = [gloss for _, gloss in json.loads((CACHE / "wordnet.json").read_text())]
    teacher = np.fromfile(CACHE / "wordnet.f32", dtype="<f4").reshape(-1, 384)
    counts = bags(reference, glosses, tokens)
    weight = weights(counts[:LEARN], tokens, sif)

    mean = vectors.mean(axis=0)
    centred = vectors - mean
    # The directions that matter are those of whole texts.
    centre = teacher[:LEARN].mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((teacher[:LEARN] - centre).T))
    axes = axes[:, ::-1][:, :DIMENSIONS]
    start = (centred @ axes).astype(np.float32)

    weighted = counts @ sparse.diags(weight.astype(np.float32))
    # A mean's length does not matter, its direction does: rows are brought to the teacher's length first.
    rough = weighted @ start
    lengths = np.maximum(np.linalg.norm(rough, axis=1), 1e-6)
    bag = (sparse.diags((1 / lengths).astype(np.float32)) @ weighted).tocsr()
    target = unit((teacher - centre) @ axes).astype(np.float32)
    table = ridge(bag[:LEARN], target[:LEARN], start, strength) if strength else start
    for label, rows in (("alone", start), ("learnt", table)):
        near = (unit(bag[LEARN:] @ rows) * target[LEARN:]).sum(axis=1).mean()
        print(f"sif {sif:g}, ridge {strength:g}: mean cosine with MiniLM, {label}: {near:.4f}", file=sys.stderr)
    return names, (table * weight[:, None]).astype(np.float32)


def write(names, table):
    scale = np.abs(table).max(axis=1) / 127
    scale[scale == 0] = 1
    codes = np.round(table / scale[:, None]).astype(np.int8)
    text = "\n".join(names).encode()
    head = MAGIC + struct.pack("<III", len(names), DIMENSIONS, len(text))
    (HERE / "table.bin").write_bytes(head + text + scale.astype("<f2").tobytes() + codes.tobytes())


def write_fixture(names):
    """What the model's own tokenizer makes of texts that are hard to cut: places in the table, null for what is unknown."""
    reference, place = tokenizer(), {name: at for at, name in enumerate(names)}
    hard = json.loads((HERE / "hard.json").read_text())
    random.Random(3).shuffle(glosses := [gloss for _, gloss in json.loads((CACHE / "wordnet.json").read_text())])
    texts = hard + glosses[:200]
    cut = [[place.get(piece) for piece in reference.encode(text, add_special_tokens=False).tokens] for text in texts]
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in zip(texts, cut))
    (HERE / "../tests/fixtures").mkdir(exist_ok=True)
    (HERE / "../tests/fixtures/tokenizer.json").write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    names, table = distil()
    write(names, table)
    write_fixture(names)
