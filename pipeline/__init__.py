"""Detection of spoofed speech: from a corpus on disk to a registered, served, calibrated detector.

The modules follow the data, each reading only what the one before it wrote: ``corpora`` and ``manifest`` say what
there is to hear, ``audio`` and ``store`` turn it into waveforms, ``batches``, ``frontend``, ``models`` and ``train``
learn from them, ``bundle`` holds what was learnt, ``evaluate`` and ``registry`` judge and publish it, ``detector``
scores with it.
"""
