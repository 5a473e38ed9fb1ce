"""Who is compared with whom: which questions a study has, and in which blocks.

Pure. A block asks every comparison (each two classes, or each class alone) once, on
different scenes where there are enough; over all blocks every comparison meets every
scene. Two blocks make a couple, in which each comparison stands once either way round.
The page draws couples, and turns a couple as a whole: any participant sees each class
as often left as right, give or take one, though the page knows no class.
"""

import hmac
from collections.abc import Sequence
from itertools import combinations
from random import Random

Question = tuple[int, ...]  # scene, then one or two classes: left, right
Block = list[Question]


def comparisons(mode: str, classes: int) -> list[tuple[int, ...]]:
    """What is asked of every scene: each two classes, or each class alone."""
    return list(combinations(range(classes), 2 if mode == "pairs" else 1))


def couples_of_blocks(
    mode: str, *, classes: int, scenes: int, random: Random
) -> list[list[Block]]:
    """All questions: couples of two blocks, the last of one where scenes are odd."""
    kinds = comparisons(mode, classes)
    couples = []
    for start in range(0, scenes, 2):
        couple: list[Block] = [[] for _ in range(start, min(start + 2, scenes))]
        for number, kind in enumerate(kinds):
            shown = kind[:: random.choice((1, -1))]
            for at, block in enumerate(couple):
                scene = (start + at + number) % scenes
                block.append((scene, *(shown[::-1] if at else shown)))
        for block in couple:
            random.shuffle(block)
        couples.append(couple)
    return couples


def picture_name(secret: bytes, class_name: str, scene: str) -> str:
    """What a picture is called in the page: it tells nothing without the secret."""
    told = f"{len(class_name)} {class_name} {scene}".encode("utf-8", "surrogateescape")
    return hmac.new(secret, told, "sha256").hexdigest()[:16]


def named(
    couples: Sequence[Sequence[Block]], names: Sequence[Sequence[str]]
) -> list[list[list[list[int | str]]]]:
    """The questions with pictures' names, by scene and class, in place of classes."""
    return [
        [
            [[scene, *(names[scene][shown] for shown in kinds)] for scene, *kinds in b]
            for b in couple
        ]
        for couple in couples
    ]
