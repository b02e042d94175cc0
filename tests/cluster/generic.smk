# Four jobs for tests of a cluster profile: one needs a second attempt with more memory, one a second attempt after it
# was cancelled.
rule all:
    input:
        "sum.txt",


rule part:
    output:
        "part-{i}.txt",
    resources:
        mem_mb=300,
        tasks=2,
        runtime=2,
    shell:
        "echo {wildcards.i} > {output}"


rule hungry:
    output:
        "hungry.txt",
    resources:
        mem_mb=lambda wildcards, attempt: 300 * attempt,
        runtime=2,
    shell:
        "test {resources.mem_mb} -ge 600 && echo {resources.mem_mb} > {output}"


rule waits:
    output:
        "waits.txt",
    resources:
        mem_mb=300,
        runtime=2,
    shell:
        "if test -e was-here; then echo again > {output}; else touch was-here; sleep 100; fi"


rule total:
    input:
        expand("part-{i}.txt", i=range(2)),
        "hungry.txt",
        "waits.txt",
    output:
        "sum.txt",
    resources:
        mem_mb=300,
        runtime=2,
    shell:
        "cat {input} > {output}"
