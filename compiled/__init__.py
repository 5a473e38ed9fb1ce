"""The innermost loops in C, over the memory of NumPy's arrays.

pip compiles them where it finds a C compiler. Elsewhere callers do the same in NumPy
and OpenCV, slower, with the same results but for rounding.
"""
