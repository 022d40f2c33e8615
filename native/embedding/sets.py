"""Two sets that say how well an embedder finds: a question and its one right text among up to 4,000.

`wordnet`: a synset's words, and its gloss: the set that choices are made on.
`programs`: a program's one-line summary, and its description: another kind of text, for judging alone.
Writes `<set>.eval.json` (questions, texts, MiniLM's own reciprocal ranks' mean) into the cache.
"""

import gzip
import html
import json
import re
from pathlib import Path

import numpy as np

from minilm import CACHE, MiniLm

SIZE = 4000


def wordnet_pairs():
    # Of the shuffled glosses those that distilling does not learn from.
    pairs = json.loads((CACHE / "wordnet.json").read_text())[100_000:]
    return [(", ".join(words), gloss.split(";")[0]) for words, gloss in pairs][:SIZE]


def programs_pairs():
    """Debian's AppStream catalogue, as apt has it."""
    import yaml

    catalogue = next(Path("/var/lib/apt/lists").glob("*bookworm_main_dep11_Components-*.yml.gz"))
    found = {}
    for part in gzip.open(catalogue, "rt").read().split("\n---\n"):
        try:
            component = yaml.load(part, Loader=yaml.CSafeLoader)
        except yaml.YAMLError:
            continue
        if not isinstance(component, dict):
            continue
        summary, description = ((component.get(field) or {}).get("C") for field in ("Summary", "Description"))
        if summary and description:
            text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", description))).strip()
            # One of each description: variants of a program share theirs.
            if len(text) >= 150:
                found.setdefault(text[:100], (summary, text[:1000]))
    return sorted(found.values())[:SIZE]


def mrr(scores):
    own = scores[np.arange(len(scores)), np.arange(len(scores))]
    ranks = (scores > own[:, None]).sum(axis=1) + 1
    return float((1 / ranks).mean())


def main():
    model = MiniLm()
    for name, pairs in (("wordnet", wordnet_pairs()), ("programs", programs_pairs())):
        target = CACHE / f"{name}.eval.json"
        if target.exists():
            continue
        questions, texts = (list(part) for part in zip(*pairs))
        teacher = mrr(model.embed(questions) @ model.embed(texts).T)
        target.write_text(json.dumps({"questions": questions, "texts": texts, "minilm": teacher}))
        print(name, len(pairs), "MiniLM MRR", round(teacher, 4))


if __name__ == "__main__":
    main()
