"""What an evaluation finds: its summary, its figures, robustness, and single clips from close by."""
