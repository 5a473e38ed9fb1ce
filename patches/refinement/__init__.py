"""Sub-pixel registration of phone windows in the DSLR photo.

`refine` is the whole way: `search` (a coarse place, on the `pyramid`), `field` (what
the neighbours say), `prior` and `likelihood` (both together with the pixels), `blocks`
(how parts of a window lie). `paper_rule` is the paper's own way, for comparison.

In front of several surfaces `layered` is: `guide` (is there depth?), `parallax` (its
map), `layers` (each window's surfaces), `placement` (what both ways share),
`visibility` (which pixels both photos show).
"""
