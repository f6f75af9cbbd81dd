"""What is minimised. A regulariser has one of five homes; see the table in docs/design.md. Read without torch."""
