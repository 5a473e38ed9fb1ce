"""Rates, strengths and scores, against truths that were made or formulas of others."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binomtest, ttest_1samp

from dped_build.study.bradley_terry import PRIOR, fit_strengths
from dped_build.study.mean_opinion import opinion
from dped_build.study.preference import design_effect, pair_rate, rate, wilson


def answers_of(strength, *, people, scenes, seed, spread=0.0):
    """Wins (M, K, K) of people who answer by Bradley and Terry, each with a taste."""
    rng = np.random.default_rng(seed)
    count = len(strength)
    wins = np.zeros((people, count, count))
    for person in range(people):
        own = np.asarray(strength) + rng.normal(0, spread, count)
        for first in range(count):
            for second in range(first + 1, count):
                won = rng.binomial(scenes, expit(own[first] - own[second]))
                wins[person, first, second] = won
                wins[person, second, first] = scenes - won
    return wins


@pytest.mark.parametrize(("chosen", "answers"), [(0, 7), (3, 9), (27, 27), (150, 378)])
def test_wilsons_interval_is_scipys(chosen, answers):
    expected = binomtest(chosen, answers).proportion_ci(0.95, "wilson")
    assert wilson(chosen, answers) == pytest.approx(tuple(expected), abs=1e-9)


def test_without_answers_anything_is_possible():
    assert wilson(0, 0) == (0, 1)
    assert np.isnan(rate(np.zeros(2), np.zeros(2)).share)


def test_people_who_all_mean_the_same_by_chance_have_no_design_effect():
    rng = np.random.default_rng(1)
    chosen = rng.binomial(20, 0.6, 400).astype(float)
    assert design_effect(chosen, np.full(400, 20.0)) == pytest.approx(1, abs=0.15)


def test_people_who_always_answer_alike_count_once_each():
    chosen = np.repeat([0.0, 20.0], 50)
    assert design_effect(chosen, np.full(100, 20.0)) == pytest.approx(20, rel=0.02)


def test_the_clustered_interval_holds_the_truth_where_wilsons_does_not():
    truth, held = 0.5, np.zeros(2)
    trials = 300
    for seed in range(trials):
        wins = answers_of([0, 0], people=30, scenes=20, seed=seed, spread=0.7)
        found = pair_rate(wins, 0, 1)
        for place, (low, high) in enumerate((found.wilson95, found.clustered95)):
            held[place] += low <= truth <= high
    plain, clustered = held / trials
    assert plain < 0.85
    assert clustered > 0.9


def test_the_clustered_interval_holds_for_a_handful_of_people_too():
    trials, held = 400, 0
    for seed in range(trials):
        wins = answers_of([0, 0], people=4, scenes=20, seed=seed, spread=0.7)
        low, high = pair_rate(wins, 0, 1).clustered95
        held += low <= 0.5 <= high
    assert held / trials > 0.93  # with the normal quantile: 0.86


def test_strengths_come_back_within_three_errors_and_the_errors_are_right():
    truth = np.array([-1.0, -0.2, 0.3, 0.9])
    fits = [
        fit_strengths(answers_of(truth, people=40, scenes=9, seed=seed))
        for seed in range(60)
    ]
    scores = np.array([(fit.strength - truth) / fit.error for fit in fits])
    assert np.abs(scores.mean(axis=0)).max() < 0.45
    assert scores.std(axis=0) == pytest.approx(np.ones(4), abs=0.3)


def test_strengths_are_where_another_optimiser_ends():
    wins = answers_of([0, 0.5, -1.2], people=3, scenes=4, seed=9)
    total = wins.sum(axis=0)

    def cost(strength):
        share = expit(strength[:, None] - strength[None, :])
        virtual = np.log(expit(strength)) + np.log(expit(-strength))
        return -(total * np.log(share)).sum() - PRIOR / 2 * virtual.sum()

    best = minimize(cost, np.zeros(3), tol=1e-12).x
    assert fit_strengths(wins).strength == pytest.approx(best - best.mean(), abs=1e-4)


def test_a_class_that_always_wins_has_a_finite_strength_and_comes_first():
    wins = np.zeros((1, 3, 3))
    wins[0, 0, 1:] = 100_000
    wins[0, 1, 2] = 100_000
    fit = fit_strengths(wins)
    assert np.isfinite([*fit.strength, *fit.error]).all()
    assert fit.strength[0] > fit.strength[1] > fit.strength[2]


def test_classes_that_never_met_are_both_average():
    wins = np.zeros((2, 4, 4))
    wins[:, 0, 1] = wins[:, 1, 0] = 3
    fit = fit_strengths(wins)
    assert fit.strength == pytest.approx(np.zeros(4), abs=1e-9)
    assert fit.error[2] > fit.error[0]


def test_tastes_that_differ_widen_the_errors():
    wins = answers_of([0, 0.4], people=40, scenes=20, seed=3, spread=1.0)
    fit = fit_strengths(wins)
    assert fit.clustered_error[0] > 1.5 * fit.error[0]


def test_the_mean_opinion_has_students_interval():
    ratings = np.random.default_rng(2).integers(1, 6, 30).astype(float)
    found = opinion([ratings])
    expected = ttest_1samp(ratings, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(ratings.mean())
    assert found.ci95 == pytest.approx(tuple(expected), abs=1e-9)
    assert found.clustered95 is None
    assert sum(found.counts) == 30


def test_people_who_rate_on_scales_of_their_own_widen_the_interval():
    strict, mild = np.full(20, 2.0), np.full(20, 4.0)
    found = opinion([strict, mild] * 5)
    (low, high), (wide_low, wide_high) = found.ci95, found.clustered95
    assert wide_high - wide_low > 2 * (high - low)
    assert wide_low < 3 < wide_high


def test_one_rating_has_no_interval_and_none_no_mean():
    assert opinion([np.array([4.0])]).ci95 is None
    assert opinion([]).mean is None
