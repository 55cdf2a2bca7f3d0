"""Statistics over runs: intervals, resampling, paired tests, planning and decomposition, as pure JAX functions.

Arrays carry a runs axis (draws, seeds, speakers); whatever draws at random takes its key. records.py says which
two kinds of uncertainty there are and why they are never mixed.
"""
