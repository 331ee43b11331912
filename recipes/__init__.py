"""Recipes: data, not code. `edgewright run NAME` finds NAME.toml here."""
