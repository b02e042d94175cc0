"""Teaching: trained networks and structures go in, labels by these networks come out, for other networks to learn from.

Used by the workflow. What is learned from such labels says so: see `keys.TEACHER`.
"""
