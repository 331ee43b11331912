"""Records as a console table, as Markdown and as one self-contained HTML page with inline SVG.

One file a kind of record: `run_report`, `bench_report`, `compare_report`, `search_report`, `sensitivity_report`. They
share the words (`figures`), the plots and the templates.
"""
