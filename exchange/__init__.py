"""Shards and models in the formats of other tools; `dped-build export`.

Input: a folder of shards, `windows.h5`, or a trained model. Output: folders with a
dataset card (DPED's layout, PNG, WebDataset, LMDB, Parquet), a CSV file, an ONNX model.
What comes from others is read by `dped-build import` (patches/, train/).

Read `exporting` first: it opens the source (`patch_source`), lets one of `png_folders`,
`dped_folders`, `web_dataset`, `lmdb_files`, `parquet_files` fill a folder through
`output`, and adds `dataset_card`. `windows_table` and `onnx_model` stand alone.
"""
