"""Save and restore a run's whole state, so that it continues bit for bit."""

import json
from pathlib import Path
from typing import Any

import torch

from dped_build.align.errors import DpedBuildError
from dped_build.align.stage import created_with, write_atomic
from dped_build.train.devices import is_out_of_memory
from dped_build.train.model_file import read_torch, torch_bytes
from dped_build.train.step import TrainingState

FORMAT = "dped-build/checkpoint"
VERSION = 1


def save_checkpoint(path: Path, state: TrainingState, config: dict[str, Any]) -> None:
    """Write the state of a run and its `config.json`, replacing an older checkpoint."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "created_with": created_with(),
        "config": json.dumps(config),
        "iteration": state.iteration,
        "pretrained": state.pretrained,
        "generator": state.generator.state_dict(),
        "generator_optimizer": state.generator_optimizer.state_dict(),
        "random": json.dumps(state.random.bit_generator.state),
        "sums": state.sums,
        "summed": state.summed,
        "best_psnr": state.best_psnr,
    }
    if state.discriminator and state.discriminator_optimizer:
        content["discriminator"] = state.discriminator.state_dict()
        content["discriminator_optimizer"] = state.discriminator_optimizer.state_dict()
    if state.average is not None:
        content["average"] = state.average.state_dict()
    write_atomic(path, torch_bytes(content))


def restore_checkpoint(path: Path, state: TrainingState) -> None:
    """Put a saved state into one just made with the same settings.

    Raises:
        DpedBuildError: The file is missing, damaged, or of another kind of run.
    """
    device = next(state.generator.parameters()).device
    content = read_torch(path, expected=FORMAT, version=VERSION, device=device)
    try:
        state.generator.load_state_dict(content["generator"])
        state.generator_optimizer.load_state_dict(content["generator_optimizer"])
        if state.discriminator and state.discriminator_optimizer:
            state.discriminator.load_state_dict(content["discriminator"])
            state.discriminator_optimizer.load_state_dict(
                content["discriminator_optimizer"]
            )
        if state.average is not None:
            state.average.load_state_dict(content["average"])
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
            _lay_out_as_parameters(optimizer)
        state.random.bit_generator.state = json.loads(content["random"])
        state.iteration = int(content["iteration"])
        state.pretrained = int(content["pretrained"])
        state.sums = dict(content["sums"])
        state.summed = int(content["summed"])
        state.best_psnr = float(content["best_psnr"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise DpedBuildError(
            f"{path} does not fit these settings: start another run with --out"
        ) from error


def _lay_out_as_parameters(optimizer: torch.optim.Adam | None) -> None:
    """A fused step walks both in memory order, which differs between devices."""
    for parameter, moments in optimizer.state.items() if optimizer else ():
        for name in ("exp_avg", "exp_avg_sq"):
            moments[name] = torch.empty_like(parameter).copy_(moments[name])


def saved_iteration(path: Path) -> int | None:
    """How many iterations a checkpoint has behind it; None where there is none."""
    if not path.exists():
        return None
    return int(read_torch(path, expected=FORMAT, version=VERSION)["iteration"])
