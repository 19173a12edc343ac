"""Live audio: its sources, its steps, and a steady label from their scores."""
