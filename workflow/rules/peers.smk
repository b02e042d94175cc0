"""Baselines: what an energy costs and how far off it is with other potentials, trained on the same labels (extra `bench`)."""

PEERS = config["peers"]
# Fits of those that are configured, with the files that LAMMPS reads.
FITS = {
    name: [result(f"peers/{file}") for file in files]
    for name, files in (("uf3", ["uf3.uf3", "uf3.json"]), ("snap", ["snap.snapcoeff", "snap.snapparam"]))
    if PEERS[name] is not None
}


rule peers:
    input:
        result("figures/peers.png"),
        result("tables/peers.csv"),


rule peer_mace:
    input:
        structures=peer_labels,
        splits=result("splits.json"),
        code=code("peer-mace.py"),
    output:
        model=result("peers/{mace}.model"),
        training=result("peers/{mace}-training.json"),
    log:
        result("logs/peers/{mace}.log"),
    benchmark:
        result("benchmarks/peers/{mace}.tsv")
    wildcard_constraints:
        mace=one_of(PEERS["mace"]),
    conda:
        "../../envs/bench.yaml"
    threads: PEERS["threads"]
    resources:
        mem_mb=growing(6000),
        runtime=growing(720),
    params:
        settings=lambda wildcards: PEERS["mace"][wildcards.mace],
        seed=config["seed"],
        # Not declared as output: MACE's checkpoints, and the time that they took, must outlive a killed job.
        folder=lambda wildcards: result(f"checkpoints/{wildcards.mace}"),
    message:
        "Training a MACE model, {wildcards.mace}, on the same labels"
    script:
        "../scripts/peer-mace.py"


rule peer_uf3:
    input:
        structures=peer_labels,
        splits=result("splits.json"),
        code=code("peer-uf3.py"),
    output:
        potential=result("peers/uf3.uf3"),
        model=result("peers/uf3.json"),
        training=result("peers/uf3-training.json"),
    log:
        result("logs/peers/uf3.log"),
    benchmark:
        result("benchmarks/peers/uf3.tsv")
    conda:
        "../../envs/bench.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(120),
    params:
        settings=PEERS["uf3"],
    message:
        "Fitting a UF3 potential to the same labels"
    script:
        "../scripts/peer-uf3.py"


rule peer_snap:
    input:
        structures=peer_labels,
        splits=result("splits.json"),
        code=code("peer-snap.py"),
    output:
        coefficients=result("peers/snap.snapcoeff"),
        parameters=result("peers/snap.snapparam"),
        training=result("peers/snap-training.json"),
    log:
        result("logs/peers/snap.log"),
    benchmark:
        result("benchmarks/peers/snap.tsv")
    conda:
        "../../envs/bench.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=PEERS["snap"],
        folder=result("checkpoints/snap"),
    message:
        "Fitting a SNAP potential to the same labels"
    script:
        "../scripts/peer-snap.py"


rule peers_compared:
    input:
        unpack(peer_models),
        mace=expand(result("peers/{mace}.model"), mace=PEERS["mace"]),
        fits=[file for files in FITS.values() for file in files],
        trainings=expand(result("peers/{name}-training.json"), name=[*PEERS["mace"], *FITS]),
        structures=expand(result("reference/{dataset}.extxyz"), dataset=SHEETS),
        splits=result("splits.json"),
        code=code("peers.py"),
    output:
        timings=result("timings/peers.csv"),
        hardware=result("timings/peers-hardware.json"),
        accuracy=result("tables/peers-accuracy.csv"),
        summary=report(
            result("tables/peers.csv"),
            caption="../report/peers.rst",
            category="Speed",
            labels={"table": "peers", "shows": "cost, errors and trainings beside other potentials"},
        ),
    log:
        result("logs/peers/compared.log"),
    benchmark:
        result("benchmarks/peers/compared.tsv")
    conda:
        "../../envs/bench.yaml"
    threads: alone(PEERS["threads"])
    resources:
        mem_mb=growing(24000),
        runtime=growing(180),
    params:
        settings={key: PEERS[key] for key in ("cells", "threads", "repeats", "budget_s")},
        fits=FITS,
        # The validation set is not met once only: models are chosen by it.
        sets=[part for part in PRESENT if part != "validation"],
        cell=config["timing"]["cell"],
        seed=config["seed"],
    message:
        "Times and errors of the networks and the baselines"
    script:
        "../scripts/peers.py"


rule figure_peers:
    input:
        timings=result("timings/peers.csv"),
        accuracy=result("tables/peers-accuracy.csv"),
        record=result("timings/peers-hardware.json"),
        code=figure_code("peers"),
    output:
        **figure_files("peers", "Speed", "errors against cost beside other potentials"),
    log:
        result("logs/figures/peers.log"),
    benchmark:
        result("benchmarks/figures/peers.tsv")
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        module="peers",
        numbers=caption_numbers,
        labels=what_labels_are(),
    message:
        "Figure {params.module}"
    script:
        "../scripts/figure.py"
