"""What a report has computed, kept in the work directory so that the next one need not compute it again."""

from collections.abc import Callable
from pathlib import Path

import xarray as xr
from absl import logging

from siamese_jax.runtime.files import atomic_path


def cached(file: Path, made_from: str, make: Callable[[], xr.Dataset]) -> xr.Dataset:
    """The arrays of `file` where they were made from the same, else those that `make` returns, which are then kept.

    Args:
      file: netCDF; where it cannot be read or written, a warning says so and `make` is called for each report.
      made_from: a digest of what the arrays depend on; attribute `made_from` of what comes back.
    """
    if file.exists():
        try:
            with xr.open_dataset(file, engine="h5netcdf") as found:
                if found.attrs.get("made_from") == made_from:
                    return found.load()
        except (OSError, ValueError, KeyError) as error:
            logging.warning("%s cannot be read (%s); computed again", file, error)
    arrays = make().assign_attrs(made_from=made_from)
    try:
        with atomic_path(file) as temporary:
            arrays.to_netcdf(temporary, engine="h5netcdf")
    except OSError as error:
        # A folder that may only be read still gets its report.
        logging.warning("%s cannot be written (%s); computed for each report", file, error)
    return arrays
