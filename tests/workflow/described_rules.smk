# The rules as Snakemake has them, written to rules.json.
import json


include: "Snakefile"


described = {
    each.name: {
        "script": each.script and Path(each.script).name,
        "shell": each.shellcmd,
        "code": list(each.input.get("code", [])),
        "module": dict(each.params.items()).get("module"),
        "archive": "archive" in each.input.keys(),
        "log": list(each.log),
    }
    for each in workflow.rules
}
Path("rules.json").write_text(json.dumps(described))
