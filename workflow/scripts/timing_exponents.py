"""Collect the DFT timings, fit the exponents, join the hardware records."""

from extensive.timing.collect import collect
from logged import logged

with logged(snakemake):
    collect(
        snakemake.input.dft,
        snakemake.input.networks,
        snakemake.input.hardware,
        snakemake.params.linear_from_atoms,
        dft_csv=snakemake.output.dft,
        exponents_json=snakemake.output.exponents,
        hardware_json=snakemake.output.hardware,
    )
