"""Pairing of two lists of photos: by name, order, time, sequence or CSV.

`find` takes the way that was asked for; `by_*` is a module a way, `visual_words` and
`heaviest_chain` tell by what photos show, `swapped` finds DSLR photos that changed
places, `kept` keeps a pairing that took long.
"""
