"""Live audio: where it comes from, how it is cut into steps, and how their scores become a steady label."""
