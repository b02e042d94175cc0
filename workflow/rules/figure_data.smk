"""What some figures show of images and networks, computed with torch so that they are drawn without it."""


rule figure_data_inputs:
    input:
        **{panel: f"{RUN}/structures/{name}.extxyz" for panel, name in PANELS.items()},
        code=code("figure-data.py"),
    output:
        f"{DATA}/inputs.npz",
    log:
        f"{RUN}/logs/figures/data-inputs.log",
    benchmark:
        f"{RUN}/benchmarks/figures/data-inputs.tsv"
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        pixel_size_A=config["raster"]["pixel_size_A"],
        sigma_A=config["raster"]["sigma_A"],
    message:
        "Images for figure inputs"
    script:
        "../scripts/figure-data.py"


use rule figure_data_inputs as figure_data_kernel with:
    input:
        weights=f"{RUN}/models/{CNN}.pt",
        description=f"{RUN}/models/{CNN}.json",
        structures=f"{RUN}/structures/{config['figures']['kernel']}.extxyz",
        code=code("figure-data.py"),
    output:
        f"{DATA}/kernel.npz",
    log:
        f"{RUN}/logs/figures/data-kernel.log",
    benchmark:
        f"{RUN}/benchmarks/figures/data-kernel.tsv"
    params:
        model=CNN,
    message:
        "A convolution for figure kernel"


use rule figure_data_inputs as figure_data_tiles with:
    input:
        weights=f"{RUN}/models/{EDNN}.pt",
        description=f"{RUN}/models/{EDNN}.json",
        structures=f"{RUN}/structures/{config['figures']['tiles']}.extxyz",
        code=code("figure-data.py"),
    output:
        f"{DATA}/tiles.npz",
    log:
        f"{RUN}/logs/figures/data-tiles.log",
    benchmark:
        f"{RUN}/benchmarks/figures/data-tiles.tsv"
    params:
        model=EDNN,
    message:
        "Tile energies for figure tiles"


use rule figure_data_inputs as figure_data_networks with:
    input:
        weights=[f"{RUN}/models/{model}.pt" for model in (CNN, EDNN) if model in MODELS],
        description=[f"{RUN}/models/{model}.json" for model in (CNN, EDNN) if model in MODELS],
        code=code("figure-data.py"),
    output:
        f"{DATA}/networks.json",
    log:
        f"{RUN}/logs/figures/data-networks.log",
    benchmark:
        f"{RUN}/benchmarks/figures/data-networks.tsv"
    params:
        models=[model for model in (CNN, EDNN) if model in MODELS],
    message:
        "Layers for figure networks"
