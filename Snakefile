"""Table of contents of the workflow: structures, reference, raster, training, evaluation, timing, figures."""

from snakemake.utils import min_version

min_version("9.20")


# A preset named on the command line replaces the default one instead of being merged into it.
if not workflow.config_settings.configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/structures.smk"
include: "workflow/rules/reference.smk"
include: "workflow/rules/raster.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/timing.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/publish.smk"
include: "workflow/rules/peers.smk"
include: "workflow/rules/plan.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        FIGURES,
        TABLES,
