"""Latency, load time, memory, size, accuracy and parity of artifacts, and the report that shows them."""
