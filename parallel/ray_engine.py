"""Workers of a Ray cluster: a running one, by its address, or one started here."""

import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from dped_build.parallel.pool import Pool, cannot_start, needs_extra
from dped_build.parallel.signals import handlers_kept
from dped_build.workspace.environment import environment
from dped_build.workspace.errors import DpedBuildError

RETRIES = 1  # of a task whose worker died
SECONDS = 10  # to reach a cluster
# Tries of half a minute; by itself Ray would go on for a quarter of an hour.
WAIT = {"RAY_gcs_server_port_wait_time_s": "2"}


@contextmanager
def open_pool(jobs: int, scheduler: str | None) -> Iterator[Pool]:
    """Hand tasks to the cluster of this address, or to `jobs` processes started here.

    Raises:
        UsageError: The extra `ray` is missing.
        DpedBuildError: No cluster answers there.
    """
    try:
        import ray
        from ray import exceptions
    except ImportError as error:
        raise needs_extra("ray") from error
    own = {"address": "local", "num_cpus": jobs, "include_dashboard": False}
    try:
        _require_listener(scheduler)
    except (OSError, ValueError) as error:
        raise DpedBuildError(
            f"--scheduler {scheduler}: no Ray cluster answers there; start one with "
            "ray start --head, or leave the option out"
        ) from error
    try:
        # Ray has its own handler for SIGTERM.
        with handlers_kept(), environment(**(WAIT if scheduler else {})):
            ray.init(
                **(own if scheduler is None else {"address": scheduler}),
                logging_level=logging.CRITICAL,
                log_to_driver=False,
            )
    except SystemExit as error:  # by Ray's handler
        raise KeyboardInterrupt from error
    except (OSError, ValueError, RuntimeError) as error:
        if scheduler is None:
            raise cannot_start("ray", error) from error
        raise DpedBuildError(
            f"--scheduler {scheduler}: no Ray cluster accepts us there; is it the "
            "port of ray start --head, with the same versions of Ray and Python? If it "
            "needs a token, set RAY_AUTH_MODE=token (docs/scaling.md)"
        ) from error
    try:
        found = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cores = int(found.get("CPU", jobs))
        remote = ray.remote(max_retries=RETRIES, num_cpus=1)(_call)
        deaths = (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
        )
        yield Pool(_RayExecutor(remote), max(cores, 1), deaths)
    finally:
        ray.shutdown()


def _require_listener(scheduler: str | None) -> None:
    """Raise where nobody listens, which Ray itself would not say.

    Only hosts with a port are tried: what "auto" or a provider's address stands for is
    Ray's to find out.
    """
    if scheduler is None or ":" not in scheduler:
        return
    place = urlsplit(scheduler if "://" in scheduler else f"//{scheduler}")
    if place.scheme not in ("", "ray"):
        return
    with socket.create_connection((place.hostname, place.port), SECONDS):
        pass


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401
    return function(*arguments)


class _RayExecutor(Executor):
    """Ray's tasks as `concurrent.futures` has them."""

    def __init__(self, remote: Any) -> None:  # noqa: ANN401
        """Submit by this remote function."""
        self._remote = remote

    def submit(
        self,
        function: Callable[..., Any],
        /,
        *arguments: Any,  # noqa: ANN401
        **_: Any,  # noqa: ANN401
    ) -> Future[Any]:
        """Have a worker call the function."""
        future: Future[Any] = self._remote.remote(function, arguments).future()
        return future
