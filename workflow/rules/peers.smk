"""Baselines: what the energy costs and how far off it is with empirical potentials and a MACE model (extra `bench`)."""

PEERS = config["peers"]


rule peers:
    input:
        result("figures/peers.png"),
        result("tables/peers.csv"),


rule peer_mace:
    input:
        structures=expand(result("reference/{dataset}.extxyz"), dataset=GIVEN),
        splits=result("splits.json"),
        code=code("peer-mace.py"),
    output:
        model=result("peers/mace.model"),
    log:
        result("logs/peers/mace.log"),
    benchmark:
        result("benchmarks/peers/mace.tsv")
    conda:
        "../../envs/bench.yaml"
    threads: PEERS["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        settings=PEERS["mace"],
        seed=config["seed"],
        # Not declared as output: MACE's checkpoints must outlive a killed job.
        folder=result("checkpoints/mace"),
    message:
        "Training a MACE model on the same labels"
    script:
        "../scripts/peer-mace.py"


rule peers_compared:
    input:
        model=result(f"models/{PEERS['model']}.pt"),
        rounding=result(f"models/{PEERS['model']}-rounding.json"),
        mace=result("peers/mace.model"),
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
            labels={"table": "peers", "shows": "cost and errors beside other potentials"},
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
        runtime=growing(60),
    params:
        settings={key: PEERS[key] for key in ("cells", "threads", "repeats", "budget_s")},
        # The validation set is not met once only: models are chosen by it.
        sets=[part for part in PRESENT if part != "validation"],
        cell=config["timing"]["cell"],
        seed=config["seed"],
    message:
        "Times and errors of the network and the baselines"
    script:
        "../scripts/peers.py"


rule figure_peers:
    input:
        timings=result("timings/peers.csv"),
        accuracy=result("tables/peers-accuracy.csv"),
        record=result("timings/peers-hardware.json"),
        code=figure_code("peers"),
    output:
        **figure_files("peers", "Speed", "cost and errors beside other potentials"),
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
