"""Runs the command line as ``python -m napari_sslseg``."""

from napari_sslseg.cli import main

main()
