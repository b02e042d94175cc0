"""Training: honest splits, per-element energies, and one resumable loop for energies and forces."""
