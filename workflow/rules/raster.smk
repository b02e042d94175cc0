"""Raster: images of labelled structures, one HDF5 file per data set."""


rule rasterize:
    input:
        structures=result("reference/{dataset}.extxyz"),
        code=code("rasterize.py"),
    output:
        result("raster/{dataset}.h5"),
    log:
        result("logs/raster/{dataset}.log"),
    benchmark:
        result("benchmarks/raster/{dataset}.tsv")
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        raster=config["raster"],
    message:
        "Images of {wildcards.dataset}"
    script:
        "../scripts/rasterize.py"
