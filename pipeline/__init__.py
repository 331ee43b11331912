"""A recipe and the cached, resumable graph of stages that it stands for; gates and verdicts."""
