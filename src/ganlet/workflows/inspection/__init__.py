"""How an inspection is told: as text, as a page, and with what its config costs on this machine."""
