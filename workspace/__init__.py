"""What every stage stands on: folders that are complete or absent, errors, text, logs.

`stage` publishes a folder, `durable` writes single files, `errors` holds what a user
can fix, `plan` what a run will take; nothing here knows photos, patches or models.
"""
