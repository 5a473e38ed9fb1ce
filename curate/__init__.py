"""Finished workspaces: merge several into one, verify one, compare two.

In: workspaces that `align` and `patches` have finished. Out: one workspace (`merge`), a
list of what is damaged (`verify`), or what differs (`diff`).
"""
