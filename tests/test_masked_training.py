"""Where patches are valid in part, that part alone is learned from and judged by."""

import dataclasses
import json

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from shards import add_masks, half_masks, write_patches, write_shard

from dped_build.cli import cli
from dped_build.patches.dataset import PatchDataset
from dped_build.train import TrainSettings, load_generator, ranks, train
from dped_build.train import batches as batches_module
from dped_build.train.batches import Batches, training_and_validation
from dped_build.train.evaluating.evaluate import evaluate
from dped_build.train.evaluating.scores import FIGURES
from dped_build.train.losses import (
    color_loss,
    completed,
    content_features,
    content_loss,
    mse_loss,
)
from dped_build.train.metrics import psnr
from dped_build.train.replay import Replay
from dped_build.train.step import (
    _generator_gradients,
    discriminator_step,
    generator_losses,
    new_state,
)

CPU = torch.device("cpu")
TERMS = ("color", "content", "texture", "mse", "tv")
TINY = TrainSettings(
    channels=4,
    blocks=1,
    loss="color+mse",
    masks=True,
    iterations=4,
    batch_size=3,
    log_every=2,
    checkpoint_every=2,
    device="cpu",
)

pytestmark = pytest.mark.usefixtures("one_thread")


def random_images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def masks_of(count, size, **options):
    return torch.from_numpy(half_masks(count, size, **options) == 1).unsqueeze(1)


def network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5, stride=4), torch.nn.Tanh())


@pytest.fixture
def folder(tmp_path):
    """Patches of which one in four is whole."""
    folder = write_patches(tmp_path)
    for path in folder.glob("*.h5"):
        count = 12 if path.name.startswith("train") else 4
        add_masks(path, half_masks(count, 100, whole=count // 4))
    return folder


@pytest.fixture
def plain(tmp_path):
    return write_patches(tmp_path / "plain")


# ---- losses


@pytest.mark.parametrize("loss", [mse_loss, color_loss, content_loss])
@pytest.mark.parametrize("size", [100, 37])
def test_with_masks_of_ones_losses_and_gradients_have_the_same_bits(loss, size):
    target = random_images(7, 3, size, size, seed=1)
    networks = [network()] if loss is content_loss else []
    results = []
    for valid in (None, torch.ones(7, 1, size, size, dtype=torch.bool)):
        enhanced = random_images(7, 3, size, size).requires_grad_()
        value = loss(enhanced, target, *networks, valid=valid)
        value.backward()
        results.append((value, enhanced.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1]) and results[0][1].any()


@pytest.mark.parametrize("kind", [torch.bool, torch.float32, torch.uint8])
def test_the_squared_error_is_the_mean_over_all_valid_pixels(kind):
    enhanced, target = random_images(3, 3, 20, 30), random_images(3, 3, 20, 30, seed=1)
    valid = random_images(3, 20, 30, seed=2) > 0.4
    squares = (enhanced - target).square().permute(0, 2, 3, 1)
    expected = squares[valid].mean()
    for mask in (valid.to(kind), valid.to(kind).unsqueeze(1)):
        torch.testing.assert_close(mse_loss(enhanced, target, valid=mask), expected)


def test_a_constant_cast_costs_as_much_however_much_of_it_is_seen():
    """Far from the border, where the blur sees zeros: there, it costs less."""
    target = random_images(1, 3, 100, 100)
    valid = torch.zeros(1, 1, 100, 100, dtype=torch.bool)
    valid[..., 20:80, 30:60] = True
    loss = color_loss(target + 0.1, target, valid=valid)
    assert loss.item() == pytest.approx(3 * 100**2 * 0.1**2 / 2, rel=1e-3)


def test_the_content_of_half_an_image_is_that_of_its_valid_cells():
    enhanced, target = random_images(2, 3, 40, 40), random_images(2, 3, 40, 40, seed=1)
    vgg = torch.nn.Conv2d(3, 5, 8, stride=8)  # cells that do not overlap
    valid = torch.ones(2, 40, 40, dtype=torch.bool)
    valid[:, :, 24:] = False
    found = content_loss(enhanced, target, vgg, valid=valid)
    expected = mse_loss(vgg(enhanced)[..., :3], vgg(target)[..., :3])
    torch.testing.assert_close(found, expected)


def test_kept_features_are_compared_as_new_ones_are():
    enhanced, target = random_images(2, 3, 40, 40), random_images(2, 3, 40, 40, seed=1)
    valid, vgg = masks_of(2, 40), network()
    kept = content_features(target, vgg, valid=valid)
    found = content_loss(enhanced, target, vgg, target_features=kept, valid=valid)
    assert torch.equal(found, content_loss(enhanced, target, vgg, valid=valid))


def test_a_batch_that_is_valid_nowhere_costs_nothing():
    enhanced, target = random_images(2, 3, 40, 40), random_images(2, 3, 40, 40, seed=1)
    enhanced.requires_grad_()
    valid = torch.zeros(2, 1, 40, 40, dtype=torch.bool)
    for loss in (
        mse_loss,
        color_loss,
        lambda *a, **k: content_loss(*a, network(), **k),
    ):
        value = loss(enhanced, target, valid=valid)
        value.backward()
        assert value == 0
    assert torch.all(enhanced.grad == 0)


def test_the_discriminator_sees_no_seam_and_its_gradient_stays_with_valid_pixels():
    enhanced = random_images(2, 3, 20, 20).requires_grad_()
    target, valid = random_images(2, 3, 20, 20, seed=1), masks_of(2, 20)
    real = completed(target, enhanced, valid)
    everywhere = valid.expand(-1, 3, -1, -1)
    assert torch.equal(real[everywhere], target[everywhere])
    assert torch.equal(real[~everywhere], enhanced[~everywhere])
    assert not real.requires_grad
    fake = completed(enhanced, enhanced, valid)
    assert torch.equal(fake, enhanced)
    fake.sum().backward()
    assert torch.equal(enhanced.grad, everywhere.float())


# ---- what is not valid has no effect


def generator_gradients(dslr, valid, *, term, features=False):
    """Of every loss term alone; `dslr` is the target."""
    settings = TrainSettings(channels=4, blocks=1, loss="color+texture")
    state, vgg = new_state(settings, CPU), network()
    phone = random_images(4, 3, 100, 100, seed=3)
    kept = content_features(dslr, vgg, valid=valid) if features else None
    terms = generator_losses(
        state.generator(phone),
        dslr,
        names={term: 1.0},
        vgg=vgg,
        discriminator=state.discriminator,
        target_features=kept,
        valid=valid,
    )
    terms[term].backward(inputs=list(state.generator.parameters()))
    return [parameter.grad for parameter in state.generator.parameters()]


def two_targets():
    """Targets that are equal where they are valid, and noise elsewhere."""
    valid, scene = masks_of(4, 100, whole=1), random_images(4, 3, 100, 100, seed=4)
    noises = (random_images(4, 3, 100, 100, seed=seed) for seed in (5, 6))
    return valid, [torch.where(valid, scene, noise) for noise in noises]


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("term", TERMS)
def test_a_generator_learns_nothing_from_a_targets_invalid_pixels(term, features):
    valid, targets = two_targets()
    one, other = (
        generator_gradients(target, valid, term=term, features=features)
        for target in targets
    )
    assert any(gradient.abs().max() > 0 for gradient in one)
    for gradient, its in zip(one, other, strict=True):
        assert torch.equal(gradient, its)


@pytest.mark.parametrize("term", ["color", "content", "mse"])
def test_without_masks_the_same_garbage_is_learned(term):
    _, targets = two_targets()
    one, other = (generator_gradients(t, None, term=term) for t in targets)
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_discriminator_learns_nothing_from_a_targets_invalid_pixels():
    valid, targets = two_targets()
    phone, weights = random_images(4, 3, 100, 100, seed=3), []
    for target, mask in (*((t, valid) for t in targets), (targets[0], None)):
        state = new_state(TrainSettings(channels=4, blocks=1, loss="texture"), CPU)
        state.iteration = 1
        discriminator_step(state, phone, target, valid=mask)
        weights.append([p.detach().clone() for p in state.discriminator.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not all(
        torch.equal(a, b) for a, b in zip(weights[0], weights[2], strict=True)
    )


# ---- batches


@pytest.mark.parametrize("room", [None, 0])
def test_masks_come_with_their_patches_from_memory_and_from_disk(
    folder, monkeypatch, room
):
    if room is not None:
        monkeypatch.setattr(batches_module, "RESIDENT_BYTES", room)
    dataset = PatchDataset(folder, masks=True)
    batches = Batches(dataset, device=CPU)
    assert (batches.resident, batches.masked) == (room is None, 9)
    assert batches.valid_share == pytest.approx(float(dataset.valid_share.mean()))
    row = 0
    for batch in batches.in_order(size=5):
        for phone, valid in zip(batch.phone, batch.valid, strict=True):
            pixels, _, mask = dataset[row]
            assert valid.dtype == torch.bool and valid.shape == (1, 100, 100)
            np.testing.assert_array_equal(valid[0], mask)
            np.testing.assert_allclose(phone[0], pixels[..., 0] / 255, atol=1e-7)
            row += 1
    assert row == 12


def test_drawn_masks_are_those_of_the_drawn_patches(folder, monkeypatch):
    dataset = PatchDataset(folder, masks=True)
    resident = Batches(dataset, device=CPU)
    places = np.random.default_rng(5).integers(12, size=6)
    drawn = resident.draw(np.random.default_rng(5), size=6)
    for place, valid in zip(places, drawn.valid, strict=True):
        np.testing.assert_array_equal(valid[0], dataset[place][2])
    monkeypatch.setattr(batches_module, "RESIDENT_BYTES", 8 * 7 * 100 * 100)
    monkeypatch.setattr(batches_module, "RUN_PATCHES", 2)
    from_pool = Batches(dataset, device=CPU, seed=1)
    rows = batches_module.pool_rows(12, 0, seed=1, wanted=4)
    assert len(rows) == 4  # a mask takes its room
    places = np.random.default_rng(5).integers(4, size=6)
    drawn = from_pool.draw(np.random.default_rng(5), size=6)
    for place, valid in zip(places, drawn.valid, strict=True):
        np.testing.assert_array_equal(valid[0], dataset[rows[place]][2])


def test_kept_features_are_those_of_painted_over_targets(folder):
    batches, vgg = Batches(PatchDataset(folder, masks=True), device=CPU), network()
    assert batches.keep_features(vgg, size=5)
    drawn = batches.draw(np.random.default_rng(0), size=5)
    expected = content_features(drawn.dslr, vgg, valid=drawn.valid)
    torch.testing.assert_close(drawn.features, expected)


def test_a_set_whose_masks_are_all_ones_is_as_one_without(plain):
    add_masks(plain / "train-00000.h5", np.ones((12, 100, 100)))
    batches = Batches(PatchDataset(plain, masks=True), device=CPU)
    assert (batches.masked, batches.valid_share) == (0, 1.0)
    assert batches.take(np.arange(3)).valid is None
    assert batches.draw(np.random.default_rng(0), size=3).valid is None


def test_patches_that_are_valid_nowhere_are_not_drawn(tmp_path):
    folder, valid = tmp_path / "patches", half_masks(12, 20)
    write_shard(folder, "train-00000.h5", list("abcd"), size=20)
    valid[[2, 7]] = 0
    add_masks(folder / "train-00000.h5", valid)
    dataset = PatchDataset(folder, masks=True)
    learn, judge = training_and_validation(dataset, None, device=CPU)
    assert len(dataset) == 12 and len(learn) + len(judge) == 10


def test_a_replayed_step_has_its_masks_replaced_too(monkeypatch):
    def call_again(self, function, places):
        return lambda: None, function(*places)

    monkeypatch.setattr(Replay, "record", call_again)
    replay, seen = Replay(), []
    valid, (target, _) = two_targets()
    for mask in (valid, ~valid):
        replay("loss", lambda t, m: seen.append((t, m)), target, mask)
    assert torch.equal(seen[0][1], ~valid)  # its place in memory holds the second


def test_ranks_with_unequal_masks_have_the_gradient_of_one_process(folder, monkeypatch):
    batches = Batches(PatchDataset(folder, masks=True), device=CPU)
    settings = TrainSettings(channels=4, blocks=1, loss="color+texture+mse")

    def gradients(count, rank):
        monkeypatch.setattr(ranks, "count", lambda: count)
        monkeypatch.setattr(ranks, "rank", lambda: rank)
        state = new_state(settings, CPU)
        drawn = batches.draw(np.random.default_rng(1), size=4)
        _generator_gradients(state, settings.loss_weights(), None, *drawn)
        return [parameter.grad for parameter in state.generator.parameters()]

    halves = zip(gradients(2, 0), gradients(2, 1), strict=True)
    for whole, (one, other) in zip(gradients(1, 0), halves, strict=True):
        scale = whole.abs().max().item()
        mean = (one + other) / 2
        torch.testing.assert_close(mean, whole, rtol=0, atol=1e-4 * scale + 1e-5)


# ---- a whole run


def run(patches, run_dir, settings=TINY, **options):
    return train(patches, run_dir, settings, progress=False, **options)


def states(*run_dirs):
    return [
        load_generator(run_dir / "generator.pt").state_dict() for run_dir in run_dirs
    ]


def equal(one, other):
    return all(torch.equal(one[key], other[key]) for key in one)


def scramble(folder, *, seed):
    """Put noise where targets are not valid."""
    random = np.random.default_rng(seed)
    for path in folder.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            dslr, valid = file["dslr"][:], file["valid"][:]
            noise = random.integers(0, 256, dslr.shape, dtype=np.uint8)
            file["dslr"][:] = np.where(valid[..., None] == 1, dslr, noise)


def test_a_run_does_not_depend_on_what_is_not_valid(folder, tmp_path):
    settings = dataclasses.replace(TINY, loss="color+texture+mse")
    lines = []
    for seed in (1, 2):
        scramble(folder, seed=seed)
        lines.append(run(folder, tmp_path / str(seed), settings).metrics)
    assert lines[0] == lines[1]
    assert equal(*states(tmp_path / "1", tmp_path / "2"))


def test_masks_of_ones_change_no_bit_of_a_run(plain, tmp_path):
    run(plain, tmp_path / "without", dataclasses.replace(TINY, masks=False))
    for path in plain.glob("*.h5"):
        count = 12 if path.name.startswith("train") else 4
        add_masks(path, np.ones((count, 100, 100)))
    run(plain, tmp_path / "with")
    assert equal(*states(tmp_path / "without", tmp_path / "with"))
    one, other = (tmp_path / name / "metrics.jsonl" for name in ("without", "with"))
    assert one.read_bytes() == other.read_bytes()


def test_a_masked_run_resumes_with_its_masks(folder, tmp_path):
    run(folder, tmp_path / "whole")
    run(folder, tmp_path / "parts", dataclasses.replace(TINY, iterations=2))
    arguments = ["train", str(folder), "--out", str(tmp_path / "parts"), "--resume"]
    result = CliRunner().invoke(cli, [*arguments, "--iterations", "4"])
    assert result.exit_code == 0, result.output
    assert equal(*states(tmp_path / "whole", tmp_path / "parts"))
    config = json.loads((tmp_path / "parts/config.json").read_text())
    assert config["settings"]["masks"] is True
    assert config["patches"]["train"] == 12


def test_a_run_of_before_there_were_masks_resumes(plain, tmp_path):
    settings = dataclasses.replace(TINY, masks=False)
    run(plain, tmp_path / "run", dataclasses.replace(settings, iterations=2))
    config = tmp_path / "run/config.json"
    stated = json.loads(config.read_text())
    del stated["settings"]["masks"]
    config.write_text(json.dumps(stated))
    assert run(plain, tmp_path / "run", settings, resume=True).iteration == 4


def test_train_says_how_much_is_masked_or_left_out(folder, tmp_path):
    options = "--loss mse --model srcnn --iterations 1 --batch-size 2 --device cpu"
    said = []
    for masks in ([], ["--masks"]):
        out = ["--out", str(tmp_path / f"run{len(masks)}")]
        arguments = ["train", str(folder), *out, *options.split(), *masks]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        said.append(result.output)
    assert "9 partly valid patches left out (--masks uses them)" in said[0]
    share = PatchDataset(folder, masks=True).valid_share.mean()
    assert f"9 patches have masks; {share:.1%} of all pixels are valid" in said[1]


# ---- evaluation


def test_scores_are_of_the_valid_pixels_and_say_so(folder):
    scramble(folder, seed=1)
    report = evaluate(torch.nn.Identity(), folder, masks=True)
    scramble(folder, seed=2)
    assert evaluate(torch.nn.Identity(), folder, masks=True) == report
    phone, dslr, valid, *_ = Batches(
        PatchDataset(folder, "test", masks=True), device=CPU
    ).take(np.arange(4))
    assert (report["n"], report["masked"]) == (4, 3)
    assert report["valid_share"] == pytest.approx(float(valid.float().mean()))
    figures = report["input"]
    of_batch = psnr(phone, dslr, valid=valid, per_batch=True)
    assert figures["psnr_training"] == pytest.approx(float(of_batch))
    of_images = psnr(phone, dslr, valid=valid).mean()
    assert figures["psnr_pirm"] == pytest.approx(float(of_images))


def test_patches_that_are_valid_nowhere_are_not_scored(tmp_path):
    folder, valid, told = tmp_path / "patches", half_masks(4, 20), []
    write_shard(folder, "test-00000.h5", ["a"], split="test", per_photo=4, size=20)
    valid[1] = 0
    add_masks(folder / "test-00000.h5", valid)
    model = torch.nn.Identity()
    report = evaluate(model, folder, masks=True, tell=told.append)
    assert (report["n"], report["masked"], told) == (3, 3, [])
    unknown = {name for name, value in report["input"].items() if value is None}
    assert unknown == set(FIGURES[-3:])  # no whole window for coherent transfer


def test_without_masks_whole_patches_alone_are_scored(folder):
    report = evaluate(torch.nn.Identity(), folder)
    assert (report["n"], report["left_out"]) == (1, 3)
    assert "masked" not in report


def test_evaluate_says_what_is_scored(folder, tmp_path):
    run(folder, tmp_path / "run", dataclasses.replace(TINY, iterations=1))
    arguments = ["evaluate", str(tmp_path / "run"), str(folder)]
    plain = CliRunner().invoke(cli, arguments).output
    assert "3 partly valid patches left out (see --masks)" in plain
    masked = CliRunner().invoke(cli, [*arguments, "--masks"]).output
    assert "3 have masks: scores are of the valid pixels, " in masked
