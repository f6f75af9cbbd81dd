"""Generators and discriminators: plain modules, and their settings, which are read without torch."""
