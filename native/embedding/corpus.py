"""Real vectors for benchmarks and for distilling: WordNet's glosses as MiniLM sees them.

Writes `wordnet.f32` (rows of 384 little-endian floats), in the order of a fixed shuffle, and `wordnet.json` (the texts) into the cache.
"""

import json
import random

from minilm import CACHE, MiniLm, wordnet


def main():
    target = CACHE / "wordnet.f32"
    if target.exists():
        return
    pairs = [(words, gloss) for words, gloss in wordnet() if len(gloss) >= 20]
    random.Random(1).shuffle(pairs)
    vectors = MiniLm().embed([gloss for _, gloss in pairs])
    (CACHE / "wordnet.json").write_text(json.dumps(pairs))
    partial = target.with_suffix(".part")
    vectors.astype("<f4").tofile(partial)
    partial.rename(target)
    print(f"{len(pairs)} vectors in {target}")


if __name__ == "__main__":
    main()
