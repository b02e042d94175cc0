"""Training: labelled structures or images go in, weights with a description and a curve come out.

`splits` puts structures into honest sets, `targets` says what is learned, `loop` is the one resumable loop.
Used by evaluation, timing and the command line; inference needs nothing of it.
"""
