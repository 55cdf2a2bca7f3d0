"""Work that several processes share out among themselves without a word: each knows which part is its own."""

import dataclasses

from siamese_jax.errors import InputError
from siamese_jax.runtime.connecting import JOIN_SECONDS, cluster_advice


@dataclasses.dataclass(frozen=True)
class Share:
    """One process's share of work that is known beforehand and needs no exchange: every `count`-th piece."""

    index: int
    count: int

    def of(self, n: int) -> range:
        """Which of `n` pieces are this process's."""
        return range(self.index, n, self.count)

    def __str__(self) -> str:
        return f"process {self.index} of {self.count}"


WHOLE = Share(0, 1)


def share(detect: bool, processes: int | None, process: int | None) -> Share:
    """The share of this process, which need not reach the others.

    Args:
      detect: have JAX find what is None (Slurm, Open MPI, Kubernetes, TPU pods).
      processes: how many there are.
      process: which this is, from 0.

    Raises InputError where the numbers are not both there, or do not fit.
    """
    if detect:
        # What `jax.distributed.initialize` asks, without the connection that it makes then.
        from jax._src.clusters import ClusterEnv

        _, processes, process, _ = ClusterEnv.auto_detect_unset_distributed_params(
            "unused:0", processes, process, None, None, JOIN_SECONDS
        )
        if processes is None or process is None:
            raise InputError(f"no cluster was found that tells this process its part. {cluster_advice()}")
    elif processes is None and process is None:
        return WHOLE
    if processes is None or process is None or not 0 <= process < processes:
        raise InputError(
            f"num_processes {processes}, process_id {process}: expected their number and this one's, from 0"
        )
    return Share(process, processes)
