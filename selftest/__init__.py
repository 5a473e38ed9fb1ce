"""Does it work, here? Simulated cameras with known geometry, and `dped-build doctor`.

`simulated_cameras` photographs pictures with a phone and a DSLR, `demo_set` makes the
demo's photos with it, `truth` holds shards against the geometry, `self_check` runs
everything once on a small scale, `doctor` examines the installation and the machine.
"""
