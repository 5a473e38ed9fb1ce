"""What leaves for other tools and what comes from them: `export` and `import`.

Exports: `export_patches` opens the source (`patch_source`), lets one of `png_folders`,
`dped_folders`, `web_dataset`, `lmdb_files`, `parquet_files` fill a folder through
`export_files`, and adds `dataset_card`; `export_frames` (whole photos, made by
`frame_files`), `windows_table` and `onnx_model` stand alone.
Imports: `import_source` tells models (`tensorflow_checkpoint`) from patches
(`import_patches`, which reads `paired_folders` and `exported_folders`). Both publish
what they write through `out_folder`.
"""
