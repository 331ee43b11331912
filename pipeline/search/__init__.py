"""The search for the best model within a budget.

space.py says what may be tried, trial.py what a trial makes and measures, study.py asks and tells Optuna, local.py and
ray_workers.py do the work in processes of this machine or of a cluster, outcome.py says what came of it.
"""
