"""`python -m ganlet`, which `torchrun -m ganlet` needs."""

from ganlet.cli import main

main()
