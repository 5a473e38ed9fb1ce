"""Foundations of every stage: atomic folders, errors, text, logs.

`stage` publishes a folder, `durable` writes single files, `errors` holds what a user
can fix, `plan` what a run will take; nothing here knows photos, patches or models.
"""
