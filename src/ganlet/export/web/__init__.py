"""A run as one page that draws its pictures in the visitor's browser."""
