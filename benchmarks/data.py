"""The datasets that are harvested: made by a fixed rule, so that every run on every machine has the same ones."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SEED = 20261122
RESOURCES = 3
TOPICS = (
    *("air-quality", "budget", "bus-stops", "cycling", "elections", "energy", "flood-risk", "health", "housing"),
    *("land-use", "libraries", "noise", "parking", "parks", "population", "rainfall", "schools", "traffic"),
    *("trees", "waste"),
)
OFFICES = ("Environment Office", "Statistics Office", "Transport Office")
FORMATS = ("CSV", "JSON", "PDF", "SHP", "XLSX", "HTML")
SYLLABLES = ("ba", "ce", "do", "fi", "gu", "ka", "le", "mo", "ni", "pu", "ra", "se", "to", "vi", "zu")


def lines(count: int, file: Path | None) -> list[bytes]:
    """One JSON object a line: the first ``count`` of the file if one is named, else generated ones."""
    if file is None:
        return [json.dumps(dataset).encode() for dataset in generated(count)]
    return [line for line in file.read_bytes().split(b"\n") if line.strip()][:count]


def fingerprint(datasets: list[bytes]) -> str:
    return hashlib.sha256(b"\n".join(datasets)).hexdigest()


def write(path: Path, datasets: list[bytes]) -> Path:
    path.write_bytes(b"\n".join(datasets))
    return path


def generated(count: int) -> Iterator[dict[str, Any]]:
    choose = random.Random(SEED)
    for number in range(count):
        topic, year, office = choose.choice(TOPICS), choose.randint(1990, 2025), choose.choice(OFFICES)
        yield {
            "name": f"bench-{number:06}-{topic}",
            "title": f"{topic.replace('-', ' ').capitalize()} {year}, part {number}",
            "notes": _text(choose, 90),
            "url": f"https://data.example.org/{topic}/{number}",
            "author": office,
            "maintainer_email": "data@example.org",
            "license_id": "cc-by",
            "organization": {"name": office.lower().replace(" ", "-"), "title": office},
            "tags": [{"name": tag} for tag in sorted({topic, str(year), *choose.sample(TOPICS, 3)})],
            "extras": [
                {"key": "frequency", "value": choose.choice(("daily", "monthly", "yearly"))},
                {"key": "issued", "value": f"{year}-{choose.randint(1, 12):02}-01"},
                {"key": "spatial", "value": f"district {choose.randint(1, 40)}"},
                {"key": "reference", "value": f"{choose.getrandbits(64):016x}"},
            ],
            "resources": [_resource(choose, topic, number, position) for position in range(RESOURCES)],
        }


def _resource(choose: random.Random, topic: str, number: int, position: int) -> dict[str, Any]:
    kind = choose.choice(FORMATS)
    return {
        "name": f"{topic} {number} as {kind}",
        "description": _text(choose, 12),
        "url": f"https://data.example.org/{topic}/{number}/{position}.{kind.lower()}",
        "format": kind,
    }


def _text(choose: random.Random, words: int) -> str:
    return " ".join("".join(choose.choices(SYLLABLES, k=choose.randint(1, 4))) for _ in range(words)).capitalize() + "."
