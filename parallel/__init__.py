"""Many tasks on many cores: `executor` runs them and survives dead workers.

`engines` puts other people's clusters (Dask, Ray) behind one form; `signals` says who
hears Ctrl-C and SIGTERM.
"""
