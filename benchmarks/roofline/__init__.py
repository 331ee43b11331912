"""What an artifact costs at least on this machine, and where its time goes: peaks, operators, profiles, the bound.

A format is added with its reader of operators (`<runtime>_operators.py`), its profile (`<runtime>_profile.py`) and a
line in `operators.py` and `profiles.py`.
"""
