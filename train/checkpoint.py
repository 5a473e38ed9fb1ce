"""Save and restore a run's whole state, so that it continues bit for bit."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dped_build.train.devices import is_out_of_memory
from dped_build.train.model_file import read_torch, require_alike, torch_bytes
from dped_build.train.step import TrainingState
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import Number, converted, parse_object
from dped_build.workspace.stage import (
    created_with,
)

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
        _load_network(state.generator, content["generator"])
        _load_optimizer(state.generator_optimizer, content["generator_optimizer"])
        if state.discriminator and state.discriminator_optimizer:
            _load_network(state.discriminator, content["discriminator"])
            _load_optimizer(
                state.discriminator_optimizer, content["discriminator_optimizer"]
            )
        if state.average is not None:
            _load_network(state.average, content["average"])
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
            _lay_out_as_parameters(optimizer)
        state.random.bit_generator.state = parse_object(content["random"].encode())
        state.iteration = int(content["iteration"])
        state.pretrained = int(content["pretrained"])
        state.sums = _sums(content["sums"])
        state.summed = int(content["summed"])
        state.best_psnr = float(content["best_psnr"])
    except (
        *(KeyError, TypeError, ValueError, RuntimeError),
        *(AttributeError, OverflowError),
    ) as error:
        if is_out_of_memory(error):
            raise
        raise DpedBuildError(
            f"{path} does not fit these settings: start another run with --out"
        ) from error


def _load_network(network: nn.Module, stored: dict[str, Any]) -> None:
    require_alike(stored, network.state_dict())
    network.load_state_dict(stored)


def _load_optimizer(optimizer: torch.optim.Adam, stored: dict[str, Any]) -> None:
    """Load moments that fit the parameters, and groups that have all of Adam's keys."""
    sound = optimizer.state_dict()
    for ours, theirs in zip(sound["param_groups"], stored["param_groups"], strict=True):
        for name in ("params", "betas", "weight_decay", "amsgrad", "maximize"):
            if theirs[name] != ours[name]:
                raise ValueError(f"another {name}")
        converted([theirs["lr"], theirs["eps"]], list[Number])
    parameters = dict(enumerate(p for g in optimizer.param_groups for p in g["params"]))
    if not set(stored["state"]) <= set(parameters):
        raise ValueError("moments of no parameter")
    for number, moments in stored["state"].items():
        planned = dict.fromkeys(("exp_avg", "exp_avg_sq"), parameters[number])
        one = {"step": moments["step"]}
        require_alike(moments, planned | {"step": torch.empty(())})
        if not torch.isfinite(one["step"]):
            raise ValueError("a step that is not a number")
    optimizer.load_state_dict(stored)


def _sums(stored: dict[str, Any]) -> dict[str, Any]:
    for name, value in stored.items():
        if not isinstance(name, str) or value.shape != ():
            raise ValueError("sums of more than one number")
    return dict(stored)


def _lay_out_as_parameters(optimizer: torch.optim.Adam | None) -> None:
    """A fused step walks both in memory order, which differs between devices."""
    for parameter, moments in optimizer.state.items() if optimizer else ():
        for name in ("exp_avg", "exp_avg_sq"):
            moments[name] = torch.empty_like(parameter).copy_(moments[name])


def saved_iteration(path: Path) -> int | None:
    """How many iterations a checkpoint has behind it; None where there is none."""
    if not path.exists():
        return None
    iteration = read_torch(path, expected=FORMAT, version=VERSION).get("iteration")
    if type(iteration) is not int or iteration < 0:
        raise DpedBuildError(f"{path} is damaged: restore it, or name another --out")
    return iteration
