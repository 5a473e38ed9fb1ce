"""The heaviest order-preserving chain of matches between two sequences.

With weights of one this is the longest common subsequence; photos that no match of the
chain holds are skipped, on either side. After Jacobson and Vo, "Heaviest increasing /
common subsequence problems", CPM 1992: O(n log n) by a tree of running maxima.
"""

from collections.abc import Sequence

Match = tuple[int, int, float]  # place in one sequence, in the other, weight


def heaviest_chain(matches: Sequence[Match]) -> list[Match]:
    """Matches of the largest total weight, in order, whose places both rise strictly.

    Weights are above 0.
    """
    size = max((j for _, j, _ in matches), default=0) + 1
    best: list[tuple[float, int]] = [(0.0, -1)] * (size + 1)  # a Fenwick tree over j
    before: list[int] = []
    # Places of one row from the back, so that none follows another of its row.
    ordered = sorted(matches, key=lambda match: (match[0], -match[1]))
    for number, (_, j, weight) in enumerate(ordered):
        total, last = 0.0, -1
        place = j  # all below j
        while place:
            total, last = max((total, last), best[place])
            place &= place - 1
        before.append(last)
        place = j + 1
        while place <= size:
            best[place] = max(best[place], (total + weight, number))
            place += place & -place
    total, last = 0.0, -1
    place = size
    while place:
        total, last = max((total, last), best[place])
        place &= place - 1
    chain = []
    while last >= 0:
        chain.append(ordered[last])
        last = before[last]
    return chain[::-1]
