"""A trained generator over whole photos of any size: `enhance`.

`enhance` goes from file to file, `strips` and `inference` run a network strip by strip
with the result of running it whole, `row_store` keeps features where memory ends.
"""
