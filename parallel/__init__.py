"""Many tasks on many cores: `executor` runs them and survives dead workers.

`forked` has workers that start at once; `engines` puts other people's clusters (Dask,
Ray) behind one form; `signals` says who hears Ctrl-C and SIGTERM.
"""
