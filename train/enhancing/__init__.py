"""Enhance whole photos of any size with a trained generator: `enhance`.

`in_memory` enhances one photo as an array; `enhance` goes from file to file; `strips`
and `inference` run a network strip by strip with the result of running it whole,
`row_store` keeps features where memory ends.
"""
