"""A server that draws with trained generators: pictures, edits and ways between pictures over HTTP."""
