"""The one path from audio to score, shared by every command. No TensorFlow."""
