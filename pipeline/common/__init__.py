"""What every part of the project stands on: files, processes, progress, tables, and Spark."""
