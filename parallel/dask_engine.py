"""Workers of a Dask cluster: a running one, by its address, or one started here."""

import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager

from dped_build.parallel.pool import Pool, cannot_start, needs_extra
from dped_build.parallel.signals import blocked, start_resource_trackers
from dped_build.workspace.errors import DpedBuildError

DEATHS = 1  # of workers under one task, after which it is given up
SECONDS = 30  # to reach a scheduler
LOGGERS = (
    "asyncio",
    "distributed.client",
    "distributed.core",
    "distributed.nanny",
    "distributed.scheduler",
    "distributed.worker",
    "tornado.application",
)
SETTINGS = {
    "distributed.scheduler.allowed-failures": DEATHS,
    "distributed.scheduler.worker-saturation": 1.0,  # who only waits is not blamed
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Dask's log: a worker that dies costs its pair, which its record says."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def open_pool(jobs: int, scheduler: str | None) -> Iterator[Pool]:
    """Hand tasks to the cluster of this address, or to `jobs` processes started here.

    Raises:
        UsageError: The extra `dask` is missing.
        DpedBuildError: No scheduler answers there, or it has no workers.
    """
    try:
        import dask
        from distributed import Client, KilledWorker, LocalCluster
    except ImportError as error:
        raise needs_extra("dask") from error
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(SETTINGS))
        stack.enter_context(_quiet())
        where: object = scheduler
        if scheduler is None:
            start_resource_trackers()
            with blocked():  # for workers, and those started in their place
                where = stack.enter_context(
                    LocalCluster(  # type: ignore[no-untyped-call]
                        n_workers=jobs,
                        threads_per_worker=1,
                        memory_limit=0,
                        silence_logs=logging.CRITICAL,
                        dashboard_address=":0",
                    )
                )
        try:
            client = Client(where, timeout=SECONDS)  # type: ignore[no-untyped-call]
            stack.enter_context(client)
        except (OSError, ValueError) as error:
            if scheduler is None:
                raise cannot_start("dask", error) from error
            raise DpedBuildError(
                f"--scheduler {scheduler}: no Dask scheduler answers there; start one "
                "with dask scheduler, or leave the option out"
            ) from error
        threads = sum(client.nthreads().values())  # type: ignore[no-untyped-call]
        if not threads:
            raise DpedBuildError(
                f"--scheduler {scheduler}: it has no workers; start some with "
                f"dask worker {scheduler} --nthreads 1"
            )
        executor = client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        # Not to be waited for: there may be no workers any more.
        stack.callback(executor.shutdown, wait=False)
        try:
            yield Pool(executor, threads, (KilledWorker,))
        except CancelledError as error:
            where = f"--scheduler {scheduler}" if scheduler else "--backend dask"
            raise DpedBuildError(
                f"{where}: the scheduler is gone; run the same command again, finished "
                "work is kept"
            ) from error
