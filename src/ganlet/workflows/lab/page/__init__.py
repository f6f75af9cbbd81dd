"""The lab as a page: one file to play with, and to send to a friend."""
